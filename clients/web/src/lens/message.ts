/**
 * A technique's message from the values of its form.
 *
 * The values stand in the query by their paths, `ascent.steps=64`, and only those that differ from
 * the defaults. What a parameter is, `ListTechniques` tells; how its message is written, the
 * descriptors of the contract.
 */

import type { DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import {
  ParameterType,
  type Technique,
  type TechniqueParameter,
} from "../gen/hooke/v1/technique_service_pb";
import { photograph } from "../pictures/photographs";
import { placeOf, resourceName } from "../server/names";

/** The message as protobuf's JSON, with what is not set left out. */
export async function messageJson(
  parameters: readonly TechniqueParameter[],
  message: DescMessage,
  values: URLSearchParams,
  prefix = "",
): Promise<JsonObject> {
  const json: JsonObject = {};
  for (const parameter of parameters) {
    const path = prefix + parameter.name;
    if (!isSet(values, path)) continue;
    const field = message.fields.find((each) => each.name === parameter.name);
    const value = await valueJson(parameter, field, message, values, path);
    if (field === undefined)
      Object.assign(json, value); // alternatives of a oneof of that name
    else json[parameter.name] = value;
  }
  return json;
}

/** Whether a parameter, or a part of it, has a value. */
export function isSet(values: URLSearchParams, path: string): boolean {
  return [...values.keys()].some((each) => each === path || each.startsWith(`${path}.`));
}

/** Whether everything that has no default has a value. */
export function isReady({ parameters }: Technique, values: URLSearchParams): boolean {
  return parameters.every(
    ({ name, defaultValue }) => defaultValue !== undefined || isSet(values, name),
  );
}

/** Why a technique cannot be asked from a form; empty where it can. */
export function unaskable({ parameters }: Technique): string {
  const wanting = parameters.some(
    (each) => each.repeated && each.defaultValue === undefined && holdsImages(each),
  );
  return wanting ? "It needs lists of pictures: ask it through a client or the command line." : "";
}

const holdsImages = ({ type, fields }: TechniqueParameter): boolean =>
  type === ParameterType.IMAGE || fields.some(holdsImages);

async function valueJson(
  parameter: TechniqueParameter,
  field: DescField | undefined,
  parent: DescMessage,
  values: URLSearchParams,
  path: string,
): Promise<JsonValue> {
  const given = values.get(path) ?? "";
  if (parameter.type === ParameterType.ONE_OF && !given.startsWith("[")) {
    const chosen = parameter.fields.filter((each) => each.name === given);
    const alternatives = field?.message ?? parent;
    const inner = new URLSearchParams([...values, [`${path}.${given}.`, ""]]); // set, even if empty
    const json = await messageJson(chosen, alternatives, inner, `${path}.`);
    return parameter.repeated ? [json] : json;
  }
  if (parameter.type === ParameterType.MESSAGE && !parameter.repeated && given === "")
    return field?.message ? messageJson(parameter.fields, field.message, values, `${path}.`) : {};
  if (isStructured(parameter)) return JSON.parse(given) as JsonValue;
  const read = (text: string) => scalarJson(parameter, field, text);
  return parameter.repeated ? Promise.all(given.split(",").filter(Boolean).map(read)) : read(given);
}

/** Whether it is written as JSON, since a form for it would be larger than it is worth. */
export function isStructured({ type, repeated }: TechniqueParameter): boolean {
  const nested = type === ParameterType.MESSAGE || type === ParameterType.ONE_OF;
  return nested && (repeated || type === ParameterType.MESSAGE);
}

async function scalarJson(
  parameter: TechniqueParameter,
  field: DescField | undefined,
  text: string,
): Promise<JsonValue> {
  switch (parameter.type) {
    case ParameterType.INTEGER:
    case ParameterType.NUMBER:
      return Number(text);
    case ParameterType.BOOLEAN:
      return text === "true";
    case ParameterType.CHOICE:
      return enumName(field, text);
    case ParameterType.IMAGE:
      return { data: base64Encode((await photograph(text)).bytes) };
    case ParameterType.LOCATION:
      return locationJson(text);
    default:
      return text;
  }
}

/** The enum value whose name ends in the choice. */
function enumName(field: DescField | undefined, choice: string): string {
  const wanted = `_${choice.toUpperCase()}`;
  const prefix = field?.enum?.sharedPrefix?.toUpperCase();
  const found = field?.enum?.values.find(({ name }) =>
    prefix === undefined ? name.endsWith(wanted) : name === prefix + wanted.slice(1),
  );
  if (found === undefined) throw new Error(`'${choice}' is none of the contract's choices`);
  return found.name;
}

function locationJson(path: string): JsonObject {
  const place = placeOf(path);
  if (place === undefined) throw new Error(`'${path}' names no place; write /models/…/layers/…`);
  const layer = resourceName(place);
  return place.unit === undefined ? { layer } : { layer, unit: String(place.unit) };
}
