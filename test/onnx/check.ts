/** Compares ONNX files with the goldens that test/fixtures/onnx/exported.py wrote of them: node check.js FOLDER */
import { compare, goldensIn } from "./exported.js";

const tolerance = 1e-5;
let failed = 0;
for (const path of goldensIn(process.argv[2])) {
  const { model, tensors, edits, worst, where } = await compare(path);
  if (!(worst < tolerance)) failed++;
  console.log(
    `${model}: ${tensors} tensors and ${edits} edits, at worst ${worst.toExponential(1)} at ${where}`,
  );
}
process.exitCode = failed > 0 ? 1 : 0;
