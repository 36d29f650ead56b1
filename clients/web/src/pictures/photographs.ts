/** Photographs to look at: the samples that come with the page, and those that were dropped. */

import { crc32c } from "../work/crc32c";
import { keep, kept } from "./drawer";

/** A photograph, ready to be sent and shown. */
export interface Photograph {
  /** As it stands in the address: `chelsea`, `file-1a2b3c4d`. */
  readonly id: string;
  readonly title: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** For an `<img>`. */
  readonly url: string;
}

/** The samples; `public/samples/README.md` tells where they come from. */
export const SAMPLES = [
  { id: "chelsea", title: "A cat" },
  { id: "coffee", title: "A cup of coffee" },
  { id: "rocket", title: "A rocket" },
  { id: "astronaut", title: "An astronaut" },
] as const;

/** The address of a sample. */
export const sampleUrl = (id: string): string => `/samples/${id}.jpg`;

const LONGEST_EDGE = 1280;
const MOST_BYTES = 1 << 20;
const SENT_AS_IT_IS = new Set(["image/jpeg", "image/png", "image/webp"]);

const here = new Map<string, Promise<Photograph>>();

/** A photograph by its id; rejects where this browser does not have it. */
export function photograph(id: string): Promise<Photograph> {
  const found = here.get(id) ?? find(id);
  here.set(id, found);
  found.catch(() => here.delete(id));
  return found;
}

/** Take a file that was dropped or chosen, and give it an id. */
export async function adopt(file: File): Promise<string> {
  const blob = await fitted(file);
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const id = `file-${crc32c(bytes).toString(16).padStart(8, "0")}`;
  await keep(id, { title: file.name, blob });
  here.set(id, Promise.resolve({ id, title: file.name, bytes, url: URL.createObjectURL(blob) }));
  return id;
}

async function find(id: string): Promise<Photograph> {
  const sample = SAMPLES.find((each) => each.id === id);
  if (sample !== undefined) {
    const answer = await fetch(sampleUrl(id));
    if (!answer.ok) throw new Error(`the sample photograph '${id}' is missing`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return { ...sample, bytes, url: sampleUrl(id) };
  }
  const found = await kept(id);
  if (found === undefined)
    throw new Error("this photograph stayed in the browser that it was dropped into; drop it here");
  const bytes = new Uint8Array(await found.blob.arrayBuffer());
  return { id, title: found.title, bytes, url: URL.createObjectURL(found.blob) };
}

/** The file itself where it is small and of a kind that the server reads, or else a JPEG of it. */
async function fitted(file: File): Promise<Blob> {
  const picture = await createImageBitmap(file).catch(() => {
    throw new Error(`'${file.name}' is not a picture that this browser can read`);
  });
  const longest = Math.max(picture.width, picture.height);
  if (SENT_AS_IT_IS.has(file.type) && file.size <= MOST_BYTES && longest <= LONGEST_EDGE)
    return file;
  const scale = Math.min(1, LONGEST_EDGE / longest);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const brush = canvas.getContext("2d");
  if (brush === null) throw new Error("this browser cannot draw pictures");
  brush.fillStyle = "white";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    const done = (blob: Blob | null) =>
      blob ? resolve(blob) : reject(new Error("the picture cannot be stored"));
    canvas.toBlob(done, "image/jpeg", 0.92);
  });
}
