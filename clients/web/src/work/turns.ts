/**
 * A browser opens six connections to a server that speaks HTTP/1.1, and an open stream keeps
 * one. Work therefore takes turns, so that lists and other short calls always get through.
 */

const AT_ONCE = 3;

let running = 0;
const queue: (() => void)[] = [];

/** Run it when it is its turn; throws if stopped before. */
export async function turn<T>(stopped: AbortSignal, run: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => wait(stopped, resolve));
  stopped.throwIfAborted();
  running += 1;
  try {
    return await run();
  } finally {
    running -= 1;
    queue.shift()?.();
  }
}

function wait(stopped: AbortSignal, resolve: () => void): void {
  queue.push(resolve);
  stopped.addEventListener("abort", () => {
    const at = queue.indexOf(resolve);
    if (at < 0) return;
    queue.splice(at, 1);
    resolve();
  });
}
