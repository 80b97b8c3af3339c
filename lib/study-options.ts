/** Checks of options that several studies take. */
import { integer, listOf, type OptionCheck, record, required } from "./options.js";

export const MODEL: OptionCheck = required(record, "a model, as loadModel gives it");
export const STUDY: OptionCheck = required(record, "a study, as loadClaims gives it");
/** A number of things of which there must be one. */
export const COUNT: OptionCheck = required(integer(1), "an integer from 1 on");
/** Numbers of blocks, one at least. */
export const LAYERS: OptionCheck = listOf(integer(0), 1);
/** Data seeds, one at least. */
export const SEEDS: OptionCheck = listOf(integer(), 1);
