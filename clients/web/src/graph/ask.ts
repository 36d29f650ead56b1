/** The page's end of the layout worker, which is started at the first question. */

import type { Layout, Question } from "./layout";

/** Lay out; the worker of an outdated question is ended by the signal. */
export function askForLayout(question: Question, stopped: AbortSignal): Promise<Layout> {
  const worker = new Worker(new URL("./layout.worker.ts", import.meta.url), { type: "module" });
  return new Promise<Layout>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Layout>) => resolve(data);
    worker.onerror = () => reject(new Error("the graph could not be laid out"));
    worker.postMessage(question);
    stopped.addEventListener("abort", () => reject(new DOMException("outdated", "AbortError")));
  }).finally(() => worker.terminate());
}
