import { describe } from "node:test";
import { readNotebook } from "../../kernels/runner/index.js";
import { itIsTidy, shipped } from "./executed.js";

// Its run is in `npm run test:slow`.
describe("notebook 02-circuit-tracing", () => {
  itIsTidy(readNotebook(shipped("02-circuit-tracing")), [
    ...["quick", "model", "transcoders", "textTranscoders", "samples", "seeds"],
    ...["imageSize", "rowsPerCall", "checkpoints"],
  ]);
});
