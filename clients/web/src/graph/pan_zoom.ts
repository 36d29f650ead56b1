/** Moving and enlarging a drawing, by pointer, wheel, pinch or keyboard. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

/** What part of the drawing is seen: its upper left corner, and how large it is drawn. */
export interface Window {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

const SMALLEST = 0.05;
const LARGEST = 3;
const STEP = 60;

/** The window with the point under the pointer held still while it grows by `factor`. */
export function zoomed(window: Window, factor: number, at: { x: number; y: number }): Window {
  const scale = Math.min(LARGEST, Math.max(SMALLEST, window.scale * factor));
  const change = 1 / window.scale - 1 / scale;
  return { scale, x: window.x + at.x * change, y: window.y + at.y * change };
}

/** All of a drawing, but never enlarged, in a view of that size. */
export function fitted(
  drawing: { width: number; height: number },
  view: { width: number; height: number },
): Window {
  const scale = Math.min(1, Math.max(0.45, view.width / drawing.width));
  return { scale, x: (drawing.width - view.width / scale) / 2, y: 0 };
}

/** A window on a drawing inside the element of `ref`, and how to move it. */
export function usePanZoom() {
  const ref = useRef<HTMLDivElement>(null);
  const window = useSignal<Window>({ x: 0, y: 0, scale: 1 });
  const zoom = (factor: number, at = middleOf(ref.current)) => {
    window.value = zoomed(window.value, factor, at);
  };
  const pan = (x: number, y: number) => {
    const { scale } = window.value;
    window.value = {
      ...window.value,
      x: window.value.x - x / scale,
      y: window.value.y - y / scale,
    };
  };
  useEffect(() => {
    const view = ref.current;
    if (view === null) return;
    const stop = new AbortController();
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) zoom(Math.exp(-event.deltaY / 200), within(view, event));
      else pan(-event.deltaX, -event.deltaY);
    };
    view.addEventListener("wheel", wheel, { passive: false, signal: stop.signal });
    followPointers(view, { pan, zoom }, stop.signal);
    return () => stop.abort();
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    const move = MOVES[event.key];
    if (move !== undefined) pan(...move);
    else if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else return;
    event.preventDefault();
  };
  return { ref, window, zoom, onKeyDown };
}

const MOVES: Record<string, [number, number]> = {
  ArrowLeft: [STEP, 0],
  ArrowRight: [-STEP, 0],
  ArrowUp: [0, STEP],
  ArrowDown: [0, -STEP],
};

interface Hands {
  pan(x: number, y: number): void;
  zoom(factor: number, at: { x: number; y: number }): void;
}

/** One pointer drags, two pinch. A drag of a few pixels is still a click. */
function followPointers(view: HTMLElement, hands: Hands, signal: AbortSignal): void {
  const fingers = new Map<number, PointerEvent>();
  const down = (event: PointerEvent) => fingers.set(event.pointerId, event);
  const up = (event: PointerEvent) => fingers.delete(event.pointerId);
  const move = (event: PointerEvent) => {
    const before = fingers.get(event.pointerId);
    if (before === undefined) return;
    const [other] = [...fingers.values()].filter((each) => each.pointerId !== event.pointerId);
    if (other === undefined)
      hands.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    else hands.zoom(distance(event, other) / distance(before, other), within(view, event));
    if (!view.hasPointerCapture(event.pointerId) && distance(event, before) > 3)
      view.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
  };
  view.addEventListener("pointerdown", down, { signal });
  view.addEventListener("pointermove", move, { signal });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"] as const)
    view.addEventListener(end, up, { signal });
}

const distance = (one: PointerEvent, other: PointerEvent): number =>
  Math.max(1, Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY));

function within(view: HTMLElement, { clientX, clientY }: MouseEvent): { x: number; y: number } {
  const { left, top } = view.getBoundingClientRect();
  return { x: clientX - left, y: clientY - top };
}

function middleOf(view: HTMLElement | null): { x: number; y: number } {
  return { x: (view?.clientWidth ?? 0) / 2, y: (view?.clientHeight ?? 0) / 2 };
}
