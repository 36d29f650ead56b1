/** Work that the server does for us: it streams, it can be stopped, it can fail. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Frame } from "../gen/hooke/v1/frame_pb";
import { type Failure, failureOf, isCancelled } from "../server/failure";
import { Collector, NOTHING, type Observation } from "./observation";
import { turn } from "./turns";

export type Status = "waiting" | "running" | "done" | "stopped" | "failed";

/** Begins a call; the signal stops it. */
export type Call = (signal: AbortSignal) => AsyncIterable<Frame> | Promise<AsyncIterable<Frame>>;

/** One call and what it has brought, as signals. */
export class Work {
  private readonly stopper = new AbortController();
  private readonly collector = new Collector();
  private readonly statusNow = signal<Status>("waiting");
  private readonly observationNow = signal<Observation>(NOTHING);
  private readonly failureNow = signal<Failure | undefined>(undefined);
  private painting = false;

  constructor(private readonly call: Call) {}

  get status(): ReadonlySignal<Status> {
    return this.statusNow;
  }

  get observation(): ReadonlySignal<Observation> {
    return this.observationNow;
  }

  get failure(): ReadonlySignal<Failure | undefined> {
    return this.failureNow;
  }

  /** Whether it may still bring something. */
  get active(): boolean {
    return this.statusNow.value === "waiting" || this.statusNow.value === "running";
  }

  /** Ask, and take what comes; never throws. */
  async run(): Promise<void> {
    const { signal: stopped } = this.stopper;
    try {
      await turn(stopped, async () => {
        this.statusNow.value = "running";
        for await (const frame of await this.call(stopped)) this.take(frame);
      });
      this.end("done");
    } catch (error) {
      if (stopped.aborted || isCancelled(error)) this.end("stopped");
      else {
        this.failureNow.value = failureOf(error);
        this.end("failed");
      }
    }
  }

  /** Leave; the server stops within one step. */
  stop(): void {
    this.stopper.abort();
  }

  private take(frame: Frame): void {
    this.collector.take(frame);
    if (this.painting) return;
    this.painting = true; // frames may come faster than the screen shows them
    setTimeout(() => {
      this.painting = false;
      this.observationNow.value = this.collector.now;
    }, 16);
  }

  private end(status: Status): void {
    this.observationNow.value = this.collector.now;
    this.statusNow.value = status;
  }
}

/** Work that begins with the component, anew when `key` changes, and stops when it leaves. */
export function useWork(call: Call | undefined, key: string): Work | undefined {
  const work = useMemo(() => (call === undefined ? undefined : new Work(call)), [key, !call]);
  useEffect(() => {
    void work?.run();
    return () => work?.stop();
  }, [work]);
  return work;
}
