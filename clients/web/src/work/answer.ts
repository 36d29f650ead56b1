/** A single answer of the server, for a component. */

import { useEffect, useState } from "preact/hooks";
import { type Failure, failureOf } from "../server/failure";

/** Waiting, here, or failed. */
export interface Answer<T> {
  readonly value?: T;
  readonly failure?: Failure;
  readonly again: () => void;
}

interface State<T> {
  readonly key: string;
  readonly value?: T;
  readonly failure?: Failure;
}

/**
 * Ask when the component comes and when `key` changes; an outdated answer is dropped. When it is
 * asked again, the last answer stays until the next is there; a failure does not.
 */
export function useAnswer<T>(ask: () => Promise<T>, key: string): Answer<T> {
  const [round, setRound] = useState(0);
  const [state, setState] = useState<State<T>>({ key });
  useEffect(() => {
    let wanted = true;
    setState((old) => (old.key === key && old.failure === undefined ? old : { key }));
    ask().then(
      (value) => wanted && setState({ key, value }),
      (error) => wanted && setState({ key, failure: failureOf(error) }),
    );
    return () => {
      wanted = false;
    };
  }, [key, round]);
  const again = () => setRound((last) => last + 1);
  return state.key === key ? { ...state, again } : { again };
}
