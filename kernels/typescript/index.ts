/** The TypeScript kernel, for those who run cells without a Jupyter client. Its processes' own files are `main.ts`, `child/`, `compiler/`. */
export { languageInfo } from "./language-info.js";
export { loadTypeScript } from "./load-typescript.js";
export {
  type ExecuteOptions,
  type Outcome,
  openSession,
  type Session,
  type SessionOptions,
} from "./session.js";
