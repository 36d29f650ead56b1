/** Numbers for readers. */

import type { Dimension } from "../gen/hooke/v1/tensor_pb";

const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** 4,652,008 */
export const whole = (value: number | bigint): string => WHOLE.format(value);

/** 4.65M */
export const short = (value: number | bigint): string => SHORT.format(value);

/** Three significant digits. */
export function decimal(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(3)));
}

/** 39.5 % */
export const percent = (share: number): string =>
  `${(100 * share).toFixed(share > 0 && share < 0.0995 ? 1 : 0)} %`;

/** 17.7 MiB */
export function bytes(value: number | bigint): string {
  let size = Number(value);
  let unit = 0;
  for (; size >= 1024 && unit < UNITS.length - 1; unit++) size /= 1024;
  return `${size >= 100 || unit === 0 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`;
}

/** 12 s, 3 min */
export const seconds = (value: number): string =>
  value < 100 ? `${Math.ceil(value)} s` : `${Math.round(value / 60)} min`;

/** 32 × 112 × 112, the batch left out. */
export function shape(dimensions: readonly Dimension[]): string {
  const [first, ...rest] = dimensions;
  const shown = first?.name === "batch" ? rest : dimensions;
  return shown.map(({ size, name }) => (size === undefined ? name : String(size))).join(" × ");
}
