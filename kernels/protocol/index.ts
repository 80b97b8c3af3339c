/** Jupyter's wire format, the outputs that kernels send, and the kernelspecs by which clients find them. */
export {
  type InstalledKernel,
  installKernel,
  type KernelPlace,
  listKernels,
  uninstallKernel,
} from "./kernelspecs.js";
export type { DisplayContent, ErrorContent, MimeBundle, Output } from "./outputs.js";
export { wellFormedJson } from "./well-formed.js";
export {
  address,
  type Connection,
  decodeMessage,
  encodeMessage,
  type Header,
  type Message,
  newHeader,
  protocolVersion,
  queuedSend,
  type Received,
  readConnection,
  receiveMessage,
  type Send,
} from "./wire.js";
