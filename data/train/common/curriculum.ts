/** Which questions are asked when: those of one look first. */
import type { SyntheticTask } from "../../../lib/tasks/index.js";

/** Share of the steps in which only what takes one look is asked. */
const EASY_PART = 0.2;

/** All types that may be trained on. */
export const trainedTypes = <Scene>({ types, heldOutTypes = [] }: SyntheticTask<Scene>): string[] =>
  Object.keys(types).filter((type) => !heldOutTypes.includes(type));

/**
 * Types that are asked at a point of the training; a task whose questions are all hard asks them from the beginning.
 * @param progress share of the steps that are done
 */
export function typesAt<Scene>(synthetic: SyntheticTask<Scene>, progress: number): string[] {
  const all = trainedTypes(synthetic);
  const easy = all.filter((type) => synthetic.types[type] !== "hard");
  return progress < EASY_PART && easy.length > 0 ? easy : all;
}
