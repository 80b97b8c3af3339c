/** Writes GGUF and safetensors bytes for tests, sound or not, independently of the library's writer. */

type Value = ["u32" | "i32" | "f32" | "u64" | "bool", number] | ["string", string] | ["raw", Uint8Array];

export interface GgufParts {
  readonly magic?: string;
  readonly version?: number;
  readonly metadata?: readonly (readonly [key: string, ...Value])[];
  readonly metadataCount?: number;
  readonly tensors?: readonly { name: string; dims: readonly number[]; type: number; offset: number }[];
  readonly tensorCount?: number;
  readonly alignment?: number;
  readonly dataBytes?: number;
}

/** Little-endian bytes, put one after the other. */
export class Bytes {
  private readonly parts: Uint8Array[] = [];
  length = 0;

  raw(bytes: Uint8Array): this {
    this.parts.push(bytes);
    this.length += bytes.byteLength;
    return this;
  }
  number(bytes: number, set: (view: DataView) => void): this {
    const view = new DataView(new ArrayBuffer(bytes));
    set(view);
    return this.raw(new Uint8Array(view.buffer));
  }
  u32(value: number): this {
    return this.number(4, (view) => view.setUint32(0, value, true));
  }
  u64(value: number): this {
    return this.number(8, (view) => view.setBigUint64(0, BigInt(value), true));
  }
  f32(value: number): this {
    return this.number(4, (view) => view.setFloat32(0, value, true));
  }
  string(text: string): this {
    const bytes = new TextEncoder().encode(text);
    return this.u64(bytes.byteLength).raw(bytes);
  }
  done(): Buffer {
    return Buffer.concat(this.parts);
  }
}

const typeNumbers = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, u64: 10 } as const;

export function ggufBytes(parts: GgufParts): Buffer {
  const { metadata = [], tensors = [], alignment = 32 } = parts;
  const out = new Bytes().raw(new TextEncoder().encode(parts.magic ?? "GGUF")).u32(parts.version ?? 3);
  out.u64(parts.tensorCount ?? tensors.length).u64(parts.metadataCount ?? metadata.length);
  for (const [key, type, value] of metadata) {
    out.string(key);
    if (type !== "raw") out.u32(typeNumbers[type]);
    if (type === "raw") out.raw(value);
    else if (type === "string") out.string(value);
    else if (type === "f32") out.f32(value);
    else if (type === "u64") out.u64(value);
    else if (type === "bool") out.raw(Uint8Array.of(value));
    else out.u32(value);
  }
  for (const { name, dims, type, offset } of tensors) {
    out.string(name).u32(dims.length);
    for (const dim of dims) out.u64(dim);
    out.u32(type).u64(offset);
  }
  if (parts.dataBytes !== undefined) {
    out.raw(new Uint8Array((alignment - (out.length % alignment)) % alignment));
    out.raw(new Uint8Array(parts.dataBytes));
  }
  return out.done();
}

/** A safetensors file of a header text, some data bytes, and a claimed header length. */
export function safetensorsBytes(header: string | Uint8Array, dataBytes = 0, claimed?: number): Buffer {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  return new Bytes()
    .u64(claimed ?? text.byteLength)
    .raw(text)
    .raw(new Uint8Array(dataBytes))
    .done();
}
