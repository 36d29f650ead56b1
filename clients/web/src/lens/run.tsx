/** A lens at work, and what it shows. */

import { useSignal } from "@preact/signals";
import type { Technique } from "../gen/hooke/v1/technique_service_pb";
import { WorkStatus } from "../parts/status";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useWork, type Work } from "../work/work";
import { ObservationView } from "./observation";
import { lensRequest } from "./request";

interface LensProps {
  readonly technique: Technique;
  readonly place: Place;
  /** Parameters by their paths. */
  readonly values: URLSearchParams;
}

/** Run it; `again` runs it once more. */
export function useLens(props: LensProps | undefined): {
  work: Work | undefined;
  again: () => void;
} {
  const server = useServer();
  const round = useSignal(0);
  const call =
    props &&
    (async (signal: AbortSignal) => {
      const request = await lensRequest(props.technique, props.place, props.values);
      return server.visualization.visualize(request, { signal });
    });
  const key =
    props && `${props.technique.name} ${pathOf(props.place)} ${props.values} ${round.value}`;
  return { work: useWork(call, key ?? ""), again: () => round.value++ };
}

/** It with its status and all that it has made. */
export function LensRun(props: LensProps & { large?: boolean }) {
  const { work, again } = useLens(props);
  if (work === undefined) return null;
  const what = props.technique.title;
  return (
    <section class="lens-run" aria-label={what}>
      <ObservationView work={work} what={what} large={props.large ?? false} />
      <WorkStatus work={work} again={again} what={what} />
    </section>
  );
}
