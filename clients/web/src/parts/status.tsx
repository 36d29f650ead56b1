/** What is going on: progress, the way out, the way back, and what went wrong. */

import type { ComponentChildren } from "preact";
import type { Failure } from "../server/failure";
import type { Work } from "../work/work";
import { seconds } from "./numbers";

/** One line under everything that takes time. */
export function WorkStatus({ work, again, what }: { work: Work; again: () => void; what: string }) {
  const status = work.status.value;
  const { progress, result } = work.observation.value;
  const failure = work.failure.value;
  if (failure !== undefined) return <FailureCard failure={failure} again={again} />;
  const steps = progress ? `step ${progress.step} of ${progress.totalSteps}` : "";
  const duration = result?.duration;
  return (
    <div class="status" data-status={status}>
      <span role="status" class={status === "running" ? "visually-hidden" : ""}>
        {status === "waiting" && "waiting for its turn"}
        {status === "running" && `${what}: being made`}
        {status === "stopped" && `stopped${steps ? ` at ${steps}` : ""}`}
        {status === "done" &&
          `done${duration ? ` in ${seconds(Number(duration.seconds) + duration.nanos / 1e9)}` : ""}`}
      </span>
      {status === "running" && <Bar work={work} what={what} />}
      {work.active ? (
        <button type="button" class="quiet" onClick={() => work.stop()}>
          Stop
        </button>
      ) : (
        <button type="button" class="quiet" onClick={again}>
          {status === "stopped" ? "Look again" : "Again"}
        </button>
      )}
    </div>
  );
}

function Bar({ work, what }: { work: Work; what: string }) {
  const { progress } = work.observation.value;
  const total = progress?.totalSteps ?? 0;
  const step = progress?.step ?? 0;
  const left = progress?.remaining;
  return (
    <>
      <progress aria-label={what} {...(total > 0 && { value: step, max: total })} />
      <span class="numbers" aria-hidden="true">
        {total > 0 ? `${step} / ${total}` : "starting"}
        {left && total > 0 && ` · ${seconds(Number(left.seconds) + left.nanos / 1e9)} left`}
      </span>
    </>
  );
}

interface FailureProps {
  readonly failure: Failure;
  readonly again?: () => void;
  /** Where one of the nearest names leads. */
  readonly hrefOf?: (name: string) => string;
}

/** An error, in the server's words. */
export function FailureCard({ failure, again, hrefOf }: FailureProps) {
  return (
    <div class="failure" role="alert">
      <p class="failure-reason">
        {failure.reason.replaceAll("_", " ").toLowerCase() || "no answer"}
      </p>
      <p>{failure.message}</p>
      {failure.fields.length > 1 && (
        <ul>
          {failure.fields.map(({ field, description }) => (
            <li key={field}>
              <code>{field}</code> {description}
            </li>
          ))}
        </ul>
      )}
      {hrefOf && failure.nearest.length > 0 && (
        <p class="nearest">
          Did you mean{" "}
          {failure.nearest.map((name) => (
            <a key={name} href={hrefOf(name)}>
              {name}
            </a>
          ))}
        </p>
      )}
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Where there is nothing to see, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <svg viewBox="0 0 48 48" aria-hidden="true">
        <circle cx="24" cy="24" r="21" />
        <circle cx="24" cy="24" r="12" />
        <path d="M24 3v12M24 33v12M3 24h12M33 24h12" />
      </svg>
      <h2>{title}</h2>
      <div>{children}</div>
    </div>
  );
}

/** While a short answer is on its way. */
export function Waiting({ what }: { what: string }) {
  return (
    <p class="waiting" role="status">
      <span class="visually-hidden">{what} is on its way</span>
    </p>
  );
}
