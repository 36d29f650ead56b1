import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { cleanup, fireEvent, screen, waitFor, within } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import { go, query, withEach, withOnly, withQuery } from "../src/address";
import { AttributeRequestSchema } from "../src/gen/hooke/v1/attribution_service_pb";
import { EvidenceMeasure } from "../src/gen/hooke/v1/evidence_pb";
import type { Frame } from "../src/gen/hooke/v1/frame_pb";
import { ResultSchema } from "../src/gen/hooke/v1/frame_pb";
import {
  ColumnType,
  FindingSchema,
  TableHeaderSchema,
  TableRowsSchema,
} from "../src/gen/hooke/v1/table_pb";
import { evidenceRequest } from "../src/lens/request";
import { Trust } from "../src/views/trust";
import { type Bench, bench, picture } from "./microscope";
import { show } from "./page";

afterEach(cleanup);

const request = () =>
  Promise.resolve(create(AttributeRequestSchema, { model: "models/small", seed: 3n }));

const part = <Trust request={request} question="why" title="Grad-CAM" />;

/** The table as a server may send it, with a column that the page has never heard of. */
const header = create(TableHeaderSchema, {
  tableId: 1n,
  name: "evidence",
  caption: "for and against",
  columns: [
    { name: "method", type: ColumnType.TEXT },
    { name: "measure", type: ColumnType.TEXT },
    { name: "value", type: ColumnType.NUMBER },
    { name: "of_a_random_order", type: ColumnType.NUMBER, description: "By chance." },
    { name: "never_known", type: ColumnType.NUMBER },
    { name: "good", type: ColumnType.BOOLEAN },
    { name: "verdict", type: ColumnType.TEXT },
  ],
});

const row = (measure: string, value: number, chance: number | undefined, good?: boolean) => ({
  cells: [
    { value: { case: "text" as const, value: "grad_cam" } },
    { value: { case: "text" as const, value: measure } },
    { value: { case: "number" as const, value } },
    chance === undefined ? {} : { value: { case: "number" as const, value: chance } },
    {},
    good === undefined ? {} : { value: { case: "boolean" as const, value: good } },
    { value: { case: "text" as const, value: `${measure} was measured` } },
  ],
});

async function* answered(): AsyncIterable<Frame["content"]> {
  const rows = [row("deletion", 0.25, 0.5, true), row("max_sensitivity", 2, undefined, false)];
  yield { case: "tableHeader", value: header };
  yield { case: "tableRows", value: create(TableRowsSchema, { tableId: 1n, rows }) };
  const curve = {
    name: "deletion",
    caption: "Grad-CAM, deletion: area 0.25",
    width: 90,
    height: 30,
  };
  yield { case: "picture", value: picture(curve) };
  const said = { kind: "doubtful", text: "deletion was measured; max sensitivity was measured" };
  yield { case: "finding", value: create(FindingSchema, said) };
  yield { case: "result", value: create(ResultSchema) };
}

async function* endless(): AsyncIterable<Frame["content"]> {
  yield { case: "tableHeader", value: header };
  const rows = [row("deletion", 0.25, 0.5, true)];
  yield { case: "tableRows", value: create(TableRowsSchema, { tableId: 1n, rows }) };
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    yield { case: "tableRows", value: create(TableRowsSchema, { tableId: 1n, rows: [] }) };
  }
}

const asking = (frames: Bench["frames"]) => bench({ frames });

test("nothing is measured by itself; a click asks for all that the contract lists", async () => {
  const shown = asking(answered);
  show(part, shown, "/?photo=coffee");
  expect(shown.asked).toEqual([]);
  fireEvent.click(screen.getByRole("button", { name: "Measure it" }));
  await screen.findByText("doubtful");
  expect(query.value.get("evidence")).toBe("all");
  const [asked = ""] = shown.asked;
  const names = Object.values(EvidenceMeasure).filter((each) => typeof each === "string");
  const wanted = names.filter((name) => name !== "UNSPECIFIED" && name !== "POINTING");
  expect(asked.replace("attribute ", "").split(",").sort()).toEqual(wanted.sort());
});

test("each measure is a row with its sentence, its numbers and whether it is good", async () => {
  show(part, asking(answered), "/?evidence=deletion,max_sensitivity");
  await screen.findByText(/1 of 2 measures speak for it/);
  const [, deletion, sensitivity] = screen.getAllByRole("row");
  within(deletion as HTMLElement).getByRole("img", { name: "good:" });
  within(deletion as HTMLElement).getByText("deletion was measured");
  within(deletion as HTMLElement).getByRole("cell", { name: "0.25" });
  within(deletion as HTMLElement).getByRole("cell", { name: "0.5" });
  within(sensitivity as HTMLElement).getByRole("img", { name: "bad:" });
  expect(screen.getByRole("columnheader", { name: "of a random order" }).title).toBe("By chance.");
  expect(screen.queryByRole("columnheader", { name: "never known" })).toBeNull();
  screen.getByRole("img", { name: "Grad-CAM: Grad-CAM, deletion: area 0.25" });
});

test("what is measured can be chosen", async () => {
  const shown = asking(answered);
  show(part, shown);
  for (const box of screen.getAllByRole("checkbox") as HTMLInputElement[])
    if (!["deletion", "insertion"].includes(box.value)) fireEvent.click(box);
  fireEvent.click(screen.getByRole("button", { name: "Measure it" }));
  await screen.findByText("doubtful");
  expect(query.value.get("evidence")).toBe("deletion,insertion");
  expect(shown.asked).toEqual(["attribute DELETION,INSERTION"]);
});

test("it is stopped, which stops the server, and tells how far it came", async () => {
  const shown = asking(endless);
  show(part, shown, "/?evidence=deletion,insertion");
  await screen.findByText("deletion was measured");
  await screen.findByText("1 / 2 measures");
  fireEvent.click(screen.getByRole("button", { name: "Stop" }));
  await screen.findByText("stopped at 1 of 2 measures");
  await waitFor(() => expect(shown.cut).toBe(1));
});

test.each([
  ["another picture", () => withQuery({ photo: "rocket" })],
  ["another class", () => withQuery({ class: "7" })],
  ["another layer", () => withQuery({ at: "one.a" })],
  ["an edit", () => withEach("edit", ["ablate:one.a"])],
  ["another method", () => withOnly(["photo"], { method: "saliency" })],
])("%s takes it away and stops it", async (_, moved) => {
  const shown = asking(endless);
  show(part, shown, "/?photo=coffee&evidence=all");
  await screen.findByText("deletion was measured");
  go(moved());
  await screen.findByRole("button", { name: "Measure it" });
  expect(screen.queryByText("deletion was measured")).toBeNull();
  expect(query.value.has("evidence")).toBe(false);
  await waitFor(() => expect(shown.cut).toBe(1));
});

test("a failure is told in the server's words, and nothing else is", async () => {
  const shown = asking(async function* () {
    yield* [];
    throw new ConnectError("the weights cannot be shuffled", Code.FailedPrecondition);
  });
  show(part, shown, "/?evidence=parameter_randomization");
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("the weights cannot be shuffled");
  expect(screen.queryByRole("table")).toBeNull();
});

test("an answer of which nothing can be measured says so", async () => {
  const shown = asking(async function* () {
    yield { case: "tableHeader", value: header };
    yield { case: "result", value: create(ResultSchema) };
  });
  show(part, shown, "/?evidence=completeness");
  await screen.findByText(/Nothing that was asked for can be measured/);
});

test("the question is asked once more with evidence, and for nothing beside it", async () => {
  const asked = evidenceRequest(await request(), [
    { name: "deletion", number: EvidenceMeasure.DELETION },
  ]);
  expect(asked).toMatchObject({ model: "models/small", seed: 3n });
  expect([asked.includePictures, asked.includeTensors]).toEqual([false, false]);
  expect(asked.evidence?.measures).toEqual([EvidenceMeasure.DELETION]);
});
