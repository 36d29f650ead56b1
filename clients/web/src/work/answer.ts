/** A single answer of the server, for a component. */

import { useEffect, useState } from "preact/hooks";
import { type Failure, failureOf } from "../server/failure";

/** Waiting, here, or failed. */
export interface Answer<T> {
  readonly value?: T;
  readonly failure?: Failure;
  readonly again: () => void;
}

/** Ask when the component comes and when `key` changes; an outdated answer is dropped. */
export function useAnswer<T>(ask: () => Promise<T>, key: string): Answer<T> {
  const [round, setRound] = useState(0);
  const [state, setState] = useState<{ key: string; value?: T; failure?: Failure }>({ key });
  useEffect(() => {
    let wanted = true;
    setState({ key });
    ask().then(
      (value) => wanted && setState({ key, value }),
      (error) => wanted && setState({ key, failure: failureOf(error) }),
    );
    return () => {
      wanted = false;
    };
  }, [key, round]);
  const again = () => setRound(round + 1);
  return state.key === key ? { ...state, again } : { again };
}
