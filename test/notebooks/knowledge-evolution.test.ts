import { describe } from "node:test";
import { readNotebook } from "../../kernels/runner/index.js";
import { itIsTidy, shipped } from "./executed.js";

// Its runs are in `npm run test:slow`.
describe("notebook 05-knowledge-evolution", () => {
  itIsTidy(readNotebook(shipped("05-knowledge-evolution")), [
    ...["model", "data", "languageModel", "seeds", "plantedCount", "captionCount", "maxNewTokens"],
    ...["answerCount", "tsneSteps", "checkpoints"],
  ]);
});
