import { describe } from "node:test";
import { readNotebook } from "../../kernels/runner/index.js";
import { itIsTidy, shipped } from "./executed.js";

// Its run is in `npm run test:slow`.
describe("notebook 04-pid-flow", () => {
  itIsTidy(readNotebook(shipped("04-pid-flow")), [
    ...["quick", "model", "model2", "twins", "twins2", "data", "lists", "perTask", "keep"],
  ]);
});
