/** The classes that a model finds most likely. */

import { withQuery } from "../address";
import { percent } from "../parts/numbers";
import { type Place, pathOf } from "../server/names";
import type { NamedTensor } from "../work/tensors";

const SHOWN = 5;

export interface Answer {
  readonly unit: number;
  readonly share: number;
}

/** Shares of all classes, the largest first: the softmax of logits, or the output if it is one. */
export function answersOf(tensor: NamedTensor | undefined): Answer[] | undefined {
  if (tensor === undefined || tensor.shape.length !== 2) return undefined;
  const values = Array.from(tensor.values);
  const sum = values.reduce((total, each) => total + each, 0);
  const isDistribution = values.every((each) => each >= 0) && Math.abs(sum - 1) < 1e-3;
  const shares = isDistribution ? values : softmax(values);
  return shares
    .map((share, unit) => ({ unit, share }))
    .sort((one, other) => other.share - one.share);
}

function softmax(values: readonly number[]): number[] {
  const most = Math.max(...values);
  const powers = values.map((each) => Math.exp(each - most));
  const sum = powers.reduce((total, each) => total + each, 0);
  return powers.map((each) => each / sum);
}

interface ClassesProps {
  readonly answers: readonly Answer[];
  readonly labels: readonly string[];
  readonly output: Place;
  /** What is explained below. */
  readonly chosen: number | undefined;
}

/** Bars; choosing one explains it, its arrow leads to the class's own page. */
export function Classes({ answers, labels, output, chosen }: ClassesProps) {
  const top = answers.slice(0, SHOWN);
  const named = answers.find(({ unit }) => unit === chosen);
  if (named && !top.includes(named)) top.push(named);
  return (
    <ol class="classes">
      {top.map(({ unit, share }) => (
        <li key={unit}>
          <a
            href={withQuery({ class: String(unit) })}
            aria-current={unit === chosen ? "true" : undefined}
          >
            <span class="class-name">{labels[unit] ?? `unit ${unit}`}</span>
            <span class="class-bar">
              <span style={{ width: `${100 * share}%` }} />
            </span>
            <span class="numbers">{percent(share)}</span>
          </a>
          <a
            class="class-unit"
            href={pathOf({ ...output, unit })}
            aria-label={`What ${labels[unit] ?? `unit ${unit}`} looks like to the model`}
            title="What it looks like to the model"
          >
            ◎
          </a>
        </li>
      ))}
    </ol>
  );
}
