/** The worker's end. */

import { layOut, type Question } from "./layout";

addEventListener("message", ({ data }: MessageEvent<Question>) => {
  postMessage(layOut(data));
});
