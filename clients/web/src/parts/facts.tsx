/** Small facts in a row. */

/** Pairs of a name and a value. */
export function Facts({ facts }: { facts: readonly [string, string][] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
