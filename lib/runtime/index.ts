/** Sessions of onnxruntime: the one place that imports it. */
export {
  availableDevices,
  checkDevice,
  createSession,
  type Device,
  type Session,
  type SessionOptions,
  type Value,
} from "./session.js";
