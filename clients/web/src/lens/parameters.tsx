/** Fields for parameters, one inside the other as their messages are. */

import type { JsonValue } from "@bufbuild/protobuf";
import { useState } from "preact/hooks";
import { query } from "../address";
import { ParameterType, type TechniqueParameter } from "../gen/hooke/v1/technique_service_pb";
import { PhotographField } from "../pictures/picker";
import { isSet, isStructured } from "./message";

interface FieldProps {
  readonly parameter: TechniqueParameter;
  readonly path: string;
  /** The value where nothing is set, as text; empty where there is none. */
  readonly standard: JsonValue | undefined;
}

/** All parameters of a message. `inherited`: the values that the whole's default gives its parts. */
export function Parameters(props: {
  parameters: readonly TechniqueParameter[];
  prefix: string;
  inherited: JsonValue | undefined;
}) {
  return (
    <>
      {props.parameters.map((parameter) => (
        <Field
          key={parameter.name}
          parameter={parameter}
          path={props.prefix + parameter.name}
          standard={partOf(props.inherited, parameter.name) ?? defaultOf(parameter)}
        />
      ))}
    </>
  );
}

function Field(props: FieldProps) {
  const { type, repeated } = props.parameter;
  if (type === ParameterType.MESSAGE && !repeated) return <Group {...props} />;
  if (type === ParameterType.ONE_OF && (!repeated || isEmpty(props.standard)))
    return <Alternatives {...props} />;
  const id = `parameter-${props.path}`;
  return (
    <div class="field" data-wide={isStructured(props.parameter) || type === ParameterType.IMAGE}>
      <label for={id} title={props.parameter.description}>
        {words(props.parameter.name)}
      </label>
      <Input {...props} id={id} />
      <small id={`${id}-about`}>{props.parameter.description}</small>
    </div>
  );
}

function Group({ parameter, path, standard }: FieldProps) {
  const nested = path.includes(".");
  const inner = (
    <Parameters parameters={parameter.fields} prefix={`${path}.`} inherited={standard} />
  );
  if (!nested && parameter.fields.length > 0) return inner;
  return (
    <details class="group" open={isSet(query.value, path)}>
      <summary>{words(parameter.name)}</summary>
      <p>{parameter.description}</p>
      {inner}
    </details>
  );
}

function Alternatives({ parameter, path, standard }: FieldProps) {
  const usual = isObject(standard) ? Object.keys(standard)[0] : undefined;
  const [chosen, choose] = useState(query.value.get(path) ?? "");
  const alternative = parameter.fields.find(({ name }) => name === (chosen || usual));
  const id = `parameter-${path}`;
  const inside = chosen === "" ? partOf(standard, usual ?? "") : undefined;
  return (
    <>
      <div class="field">
        <label for={id}>{words(parameter.name)}</label>
        <select
          id={id}
          name={path}
          aria-describedby={`${id}-about`}
          onChange={(event) => choose(event.currentTarget.value)}
        >
          <option value="">{usual === undefined ? "none" : `${words(usual)} (default)`}</option>
          {parameter.fields.map(({ name }) => (
            <option key={name} value={name} selected={name === chosen}>
              {words(name)}
            </option>
          ))}
        </select>
        <small id={`${id}-about`}>{alternative?.description ?? parameter.description}</small>
      </div>
      {chosen !== "" && alternative && (
        <Parameters
          parameters={alternative.fields}
          prefix={`${path}.${chosen}.`}
          inherited={inside}
        />
      )}
    </>
  );
}

function Input({ parameter, path, standard, id }: FieldProps & { id: string }) {
  const value = query.value.get(path) ?? "";
  const usual = textOf(standard);
  const shared = { id, name: path, "aria-describedby": `${id}-about` };
  if (isStructured(parameter))
    return <textarea {...shared} rows={2} spellcheck={false} value={value} placeholder={usual} />;
  if (parameter.type === ParameterType.IMAGE) return <PhotographField {...shared} value={value} />;
  if (parameter.repeated || parameter.type === ParameterType.LOCATION)
    return <input {...shared} type="text" value={value} placeholder={usual || hint(parameter)} />;
  if (parameter.type === ParameterType.CHOICE || parameter.type === ParameterType.BOOLEAN)
    return <Choice {...shared} parameter={parameter} value={value} usual={usual} />;
  const bounds = { min: parameter.minimum ?? "", max: parameter.maximum ?? "" };
  const step = parameter.type === ParameterType.INTEGER ? 1 : "any";
  return (
    <input {...shared} {...bounds} type="number" step={step} value={value} placeholder={usual} />
  );
}

function Choice(props: {
  id: string;
  name: string;
  parameter: TechniqueParameter;
  value: string;
  usual: string;
}) {
  const { parameter, value, usual, ...shared } = props;
  const choices = parameter.type === ParameterType.BOOLEAN ? ["true", "false"] : parameter.choices;
  return (
    <select {...shared}>
      <option value="">{usual === "" ? "automatic" : `${words(usual)} (default)`}</option>
      {choices.map((each) => (
        <option key={each} value={each} selected={each === value}>
          {words(each)}
        </option>
      ))}
    </select>
  );
}

function defaultOf({ defaultValue }: TechniqueParameter): JsonValue | undefined {
  const given = defaultValue?.value;
  if (given?.case === undefined) return undefined;
  if (given.case === "json") return JSON.parse(given.value) as JsonValue;
  return given.case === "integer" ? Number(given.value) : given.value;
}

function hint({ type, choices }: TechniqueParameter): string {
  if (type === ParameterType.LOCATION) return "/models/…/layers/…";
  return choices.length > 0 ? choices.join(", ") : "";
}

/** A list that is empty by itself: then one alternative is enough for a form. */
const isEmpty = (value: JsonValue | undefined): boolean =>
  Array.isArray(value) && value.length === 0;

const isObject = (value: JsonValue | undefined): value is { [key: string]: JsonValue } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const partOf = (whole: JsonValue | undefined, name: string): JsonValue | undefined =>
  isObject(whole) ? (whole[name] ?? undefined) : undefined;

/** As a reader writes it. */
function textOf(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value) && value.every((each) => typeof each !== "object"))
    return value.join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** `learning_rate` as a reader would say it. */
export const words = (name: string): string => name.replaceAll("_", " ");
