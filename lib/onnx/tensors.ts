import { type Element, elementOf } from "./elements.js";
import type { Source } from "./source.js";
import { damaged, expectBytes, type Field, fields, integer, integers, type Span, text } from "./wire.js";

/** Location of a weight's values. */
export type Storage = Raw | External | { readonly kind: "fields" };

/** As bytes, `start … end`. */
export interface Raw extends Span {
  readonly kind: "raw";
  /** The fields that say so: to be replaced when the tensor is to point to those bytes instead of holding them. */
  readonly places: readonly Span[];
}

/** In a side file. */
export interface External {
  readonly kind: "external";
  readonly location: string;
  /** The field that holds the location. */
  readonly locationSpan: Span;
  readonly offset: number;
  readonly length: number;
}

/** A tensor in the file: a weight, or a constant in an attribute. */
export interface WeightDef extends Span {
  readonly name: string;
  /** The field of its name; undefined for one without (a constant). */
  readonly nameSpan?: Span;
  readonly element: Element;
  readonly shape: readonly number[];
  readonly storage: Storage;
  /** A sparse tensor; its shape is the dense one. */
  readonly sparse?: boolean;
}

const typedFields = new Set([4, 5, 6, 7, 10, 11]);
const placeFields = new Set([9, 13, 14]);

/**
 * Reads a TensorProto's header.
 * @throws ModalscopeError when its values cannot fill its shape
 */
export function scanTensor(source: Source, tensor: Field): WeightDef {
  expectBytes(source, tensor);
  const shape: number[] = [];
  const external = new Map<string, Entry>();
  let raw: Field | undefined;
  const places: Span[] = [];
  let nameField: Field | undefined;
  let [name, code, location, typed] = ["", 0, 0, 0];
  for (const field of fields(source, tensor.start, tensor.end)) {
    if (placeFields.has(field.number)) places.push(whole(field));
    if (field.number === 1) integers(source, field, 64, shape);
    else if (field.number === 2) code = integer(source, field);
    else if (field.number === 8) {
      name = text(source, field);
      nameField = field;
    } else if (field.number === 9) {
      expectBytes(source, field);
      raw = field;
    } else if (field.number === 13) {
      const entry = keyAndValue(source, field);
      external.set(entry.key, entry);
    } else if (field.number === 14) location = integer(source, field);
    else if (typedFields.has(field.number)) typed += Math.max(1, field.end - field.start);
  }
  const element = elementOf(code);
  const called = name === "" ? "a constant" : `the weight "${name}"`;
  if (element === undefined)
    throw damaged(source, tensor.at, `${called} has the element type ${code}, which ONNX does not have`);
  const count = elements(shape);
  if (count === undefined)
    throw damaged(source, tensor.at, `${called} has the impossible shape (${shape.join(", ")})`);
  const bytes = element.bits === undefined ? undefined : Math.ceil((count * element.bits) / 8);
  const storage: Storage =
    location === 1
      ? externalStorage(source, tensor, called, external, bytes)
      : raw
        ? { kind: "raw", start: raw.start, end: raw.end, places }
        : { kind: "fields" };
  const holds = storage.kind === "raw" ? storage.end - storage.start : bytes;
  if (storage.kind === "raw" && holds !== bytes) {
    throw damaged(
      source,
      tensor.at,
      `${called} has ${holds} bytes where its shape (${shape.join(", ")}) needs ${bytes}`,
    );
  }
  // A number in the typed fields takes a byte at least (an element of under 8 bits shares one).
  const packed = element.bits !== undefined && element.bits < 8 ? 8 / element.bits : 1;
  if (storage.kind === "fields" && count > typed * packed) {
    throw damaged(source, tensor.at, `${called} has too few values for its shape (${shape.join(", ")})`);
  }
  return {
    start: tensor.at,
    end: tensor.end,
    name,
    nameSpan: nameField && whole(nameField),
    element,
    shape,
    storage,
  };
}

/**
 * Reads a SparseTensorProto's header; its shape is the dense one.
 * @throws ModalscopeError when it would take more memory, made dense by the runtime, than a dense one could
 */
export function scanSparse(source: Source, sparse: Field): WeightDef {
  expectBytes(source, sparse);
  const shape: number[] = [];
  let values: WeightDef | undefined;
  for (const field of fields(source, sparse.start, sparse.end)) {
    if (field.number === 1) values = scanTensor(source, field);
    else if (field.number === 2) scanTensor(source, field);
    else if (field.number === 3) integers(source, field, 64, shape);
  }
  if (values === undefined) throw damaged(source, sparse.at, "a sparse tensor without values");
  const count = elements(shape);
  if (count === undefined || count * (values.element.bits ?? 64) > 2 ** 34) {
    throw damaged(
      source,
      sparse.at,
      `a sparse tensor of the shape (${shape.join(", ")}), over 2 GB when dense`,
    );
  }
  return { ...values, start: sparse.at, end: sparse.end, shape, sparse: true };
}

function externalStorage(
  source: Source,
  tensor: Field,
  called: string,
  external: ReadonlyMap<string, Entry>,
  bytes: number | undefined,
): Storage {
  const location = external.get("location");
  if (location?.valueSpan === undefined || location.value === "" || bytes === undefined)
    throw damaged(source, tensor.at, `${called} lies outside of the file, but it does not say where`);
  const offset = wholeNumber(external.get("offset")?.value ?? "0");
  const length = wholeNumber(external.get("length")?.value ?? String(bytes));
  if (offset === undefined || length !== bytes) {
    const [at, size] = [external.get("offset")?.value ?? 0, external.get("length")?.value ?? bytes];
    throw damaged(
      source,
      tensor.at,
      `${called} lies at offset ${at} with ${size} bytes where its shape needs ${bytes}`,
    );
  }
  return { kind: "external", location: location.value, locationSpan: location.valueSpan, offset, length };
}

/** Decimal digits only: "1e9", "-1" and "0x10" are not offsets. */
function wholeNumber(digits: string): number | undefined {
  const value = /^\d{1,16}$/.test(digits) ? Number(digits) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

interface Entry {
  readonly key: string;
  readonly value: string;
  readonly valueSpan?: Span;
}

function keyAndValue(source: Source, entry: Field): Entry {
  expectBytes(source, entry);
  let [key, value] = ["", ""];
  let valueSpan: Span | undefined;
  for (const field of fields(source, entry.start, entry.end)) {
    if (field.number === 1) key = text(source, field);
    else if (field.number === 2) {
      value = text(source, field);
      valueSpan = whole(field);
    }
  }
  return { key, value, valueSpan };
}

/** A field with its tag. */
function whole(field: Field): Span {
  return { start: field.at, end: field.end };
}

/** Number of elements; undefined when a size is negative or the product is beyond counting. */
function elements(shape: readonly number[]): number | undefined {
  let product = 1;
  for (const size of shape) {
    if (!(Number.isSafeInteger(size) && size >= 0)) return undefined;
    product *= size;
  }
  return Number.isSafeInteger(product * 16) ? product : undefined;
}
