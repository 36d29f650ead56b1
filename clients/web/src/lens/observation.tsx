/** Everything that a stream has brought, large things first. */

import type { Result } from "../gen/hooke/v1/frame_pb";
import type { Picture as Made } from "../gen/hooke/v1/image_pb";
import { decimal } from "../parts/numbers";
import { Picture } from "../pictures/picture";
import type { Work } from "../work/work";
import { words } from "./parameters";
import { FindingView, TableView } from "./tables";

/** Pictures, then tensors by name, then how they were made. */
export function ObservationView({
  work,
  what,
  large,
}: {
  work: Work;
  what: string;
  large: boolean;
}) {
  const { pictures, tensors, tables, findings, result } = work.observation.value;
  const all = [...pictures.entries()].sort(([, one], [, other]) => area(other) - area(one));
  const nothing = all.length + tables.length === 0;
  return (
    <>
      {findings.map((finding) => (
        <FindingView key={finding.text} finding={finding} />
      ))}
      {nothing && work.active && <div class="plate pending" data-large={large} />}
      <div class="plates" data-large={large} data-count={all.length}>
        {all.map(([key, picture]) => (
          <figure key={key} class="plate" data-long={picture.width > 1.6 * picture.height}>
            <Picture picture={picture} alt={describe(picture, what)} />
            <figcaption>
              {picture.caption}
              {picture.objective !== undefined && (
                <span class="numbers"> objective {decimal(picture.objective)}</span>
              )}
              {!picture.caption && picture.objective === undefined && words(picture.name)}
            </figcaption>
          </figure>
        ))}
      </div>
      {tensors.length > 0 && (
        <p class="numbers">
          {tensors.map(({ name, shape }) => `${words(name)} ${shape.join(" × ")}`).join(" · ")}
        </p>
      )}
      {tables.map((table) => (
        <TableView key={`${table.name} ${table.item}`} table={table} />
      ))}
      {large && result && <Provenance result={result} />}
    </>
  );
}

const area = ({ width, height }: Made): number => width * height;

const describe = (picture: Made, what: string): string =>
  picture.caption ? `${what}: ${picture.caption}` : `${what}: ${words(picture.name)}`;

/** What made it, for whoever wants to make it again. */
export function Provenance({ result }: { result: Result }) {
  const { provenance, metrics, planDigest } = result;
  const facts: [string, string][] = [
    ...Object.entries(metrics).map(([name, value]): [string, string] => [
      words(name),
      decimal(value),
    ]),
    ["seed", String(provenance?.seed ?? 0)],
    ...(provenance?.models ?? []).map(({ name, device }): [string, string] => [
      name,
      `on ${device}`,
    ]),
    ...Object.entries(provenance?.versions ?? {}),
    ["plan", planDigest.slice(0, 23)],
  ];
  return (
    <details class="provenance">
      <summary>How it was made</summary>
      <dl>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      {provenance?.parametersJson && <pre tabIndex={0}>{pretty(provenance.parametersJson)}</pre>}
    </details>
  );
}

function pretty(json: string): string {
  return JSON.stringify(JSON.parse(json), null, 1);
}
