import { attributeKind, encodeOnnx } from "../onnx-messages.js";
import { elementNamed } from "./elements.js";
import { encodeField } from "./splice-bytes.js";
import type { Span } from "./wire.js";

/** A model's field that imports ONNX's own operators. */
export const opset17: Uint8Array = encodeField(
  8,
  encodeOnnx("OperatorSetIdProto", { domain: "", version: 17 }),
);

/** A graph's field: a node with one output. */
export function emitNode(
  opType: string,
  from: readonly string[],
  to: string,
  name: string,
  attribute: object[] = [],
): Uint8Array {
  return encodeField(1, encodeOnnx("NodeProto", { opType, input: [...from], output: [to], name, attribute }));
}

/** A graph's field: a Cast to the named type. */
export function emitCast(from: string, to: string, type: string, name: string): Uint8Array {
  const attribute = { name: "to", type: attributeKind.int, i: elementNamed(type).code };
  return emitNode("Cast", [from], to, name, [attribute]);
}

/** A graph's field: an input of any shape. */
export function emitInput(name: string, type: string): Uint8Array {
  const value = { name, type: { tensorType: { elemType: elementNamed(type).code } } };
  return encodeField(11, encodeOnnx("ValueInfoProto", value));
}

/** A graph's field: an output. The runtime finds the type of one that states none. */
export function emitOutput(name: string): Uint8Array {
  return encodeField(12, encodeOnnx("ValueInfoProto", { name }));
}

/** A tensor's fields that point to where its bytes lie. */
export function emitReference(file: string, { start, end }: Span): Uint8Array[] {
  const entries = Object.entries({ location: file, offset: start, length: end - start });
  return [
    ...entries.map(([key, value]) =>
      encodeField(13, encodeOnnx("StringStringEntryProto", { key, value: `${value}` })),
    ),
    Uint8Array.of(14 * 8, 1), // data_location: EXTERNAL
  ];
}
