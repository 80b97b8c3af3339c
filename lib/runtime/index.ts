/** Sessions of onnxruntime: the one place that imports it. */
export {
  checkDevice,
  createSession,
  type Device,
  offeredDevices,
  type Session,
  type SessionOptions,
  type Value,
} from "./session.js";
