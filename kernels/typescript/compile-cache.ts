/** Imported first: what this process or thread loads after it is compiled once per machine, where Node can (22.1 and later). */
import * as module from "node:module";

(module as { enableCompileCache?: () => unknown }).enableCompileCache?.();
