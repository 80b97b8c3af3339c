import protobuf from "protobufjs/light.js";

/** A field of one value, or of a list of them: its type and its number in onnx.proto. */
const one = (type: string, id: number): protobuf.IField => ({ type, id });
const many = (type: string, id: number): protobuf.IField => ({ type, id, rule: "repeated" });

/** Messages that this library writes. */
export type OnnxMessage =
  | "ModelProto"
  | "OperatorSetIdProto"
  | "GraphProto"
  | "NodeProto"
  | "AttributeProto"
  | "TensorProto"
  | "StringStringEntryProto"
  | "ValueInfoProto"
  | "TypeProto"
  | "TensorTypeProto"
  | "TensorShapeProto"
  | "Dimension";

/** The messages and fields of onnx.proto (IR version 10) that this library writes. */
const schema: Readonly<Record<OnnxMessage, Readonly<Record<string, protobuf.IField>>>> = {
  ModelProto: {
    irVersion: one("int64", 1),
    graph: one("GraphProto", 7),
    opsetImport: many("OperatorSetIdProto", 8),
  },
  OperatorSetIdProto: { domain: one("string", 1), version: one("int64", 2) },
  GraphProto: {
    node: many("NodeProto", 1),
    name: one("string", 2),
    initializer: many("TensorProto", 5),
    input: many("ValueInfoProto", 11),
    output: many("ValueInfoProto", 12),
    valueInfo: many("ValueInfoProto", 13),
  },
  NodeProto: {
    input: many("string", 1),
    output: many("string", 2),
    name: one("string", 3),
    opType: one("string", 4),
    attribute: many("AttributeProto", 5),
    domain: one("string", 7),
  },
  AttributeProto: {
    name: one("string", 1),
    f: one("float", 2),
    i: one("int64", 3),
    s: one("bytes", 4),
    ints: many("int64", 8),
    type: one("int32", 20),
  },
  TensorProto: {
    dims: many("int64", 1),
    dataType: one("int32", 2),
    name: one("string", 8),
    rawData: one("bytes", 9),
    externalData: many("StringStringEntryProto", 13),
    dataLocation: one("int32", 14),
  },
  StringStringEntryProto: { key: one("string", 1), value: one("string", 2) },
  ValueInfoProto: { name: one("string", 1), type: one("TypeProto", 2) },
  TypeProto: { tensorType: one("TensorTypeProto", 1) },
  TensorTypeProto: { elemType: one("int32", 1), shape: one("TensorShapeProto", 2) },
  TensorShapeProto: { dim: many("Dimension", 1) },
  Dimension: { dimValue: one("int64", 1), dimParam: one("string", 2) },
};

/** As onnx.proto has it: a field that is set is written, at its default too. */
const options = { features: { field_presence: "EXPLICIT" } };

const root = protobuf.Root.fromJSON({
  nested: Object.fromEntries(Object.entries(schema).map(([name, fields]) => [name, { fields, options }])),
});

/** The bytes of a message, `message` being plain objects with the schema's fields. */
export function encodeOnnx(type: OnnxMessage, message: object): Uint8Array {
  return root.lookupType(type).encode(message).finish();
}

/** ONNX's numbers of the kinds of attribute. */
export const attributeKind = { float: 1, int: 2, string: 3, ints: 7 } as const;
