export type { Checkpoint, WeightInfo } from "./checkpoint.js";
export { readJsonObject } from "./files.js";
export { float32Checkpoint } from "./float32-copy.js";
export { hasTokenizer, loadTokenizer } from "./load-tokenizer.js";
export { canonicalName, savedName } from "./names.js";
export { dequantise } from "./numbers/dequantise.js";
export { isReadable, type ReadableDtype, type WeightDtype } from "./numbers/dtypes.js";
export { type QuantisedMatrix, quantisedBytes } from "./numbers/nbits.js";
export { openCheckpoint } from "./open.js";
export { localCheckpoint } from "./remote.js";
export {
  readSafetensorsHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from "./safetensors/header.js";
export { openSafetensors, readSafetensors, type SafetensorsReader } from "./safetensors/read.js";
export {
  createSafetensors,
  type SafetensorsWriter,
  type StoredFloat,
  type TensorToWrite,
  writeFloats,
  writeSafetensors,
} from "./safetensors/write.js";
export { sameWeight } from "./store.js";
export type { Tokenizer } from "./tokenizer.js";
