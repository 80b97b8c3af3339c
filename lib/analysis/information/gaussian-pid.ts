import { checkOptions } from "../../options.js";
import { channelInformation, type GaussianChannels, type PidInformation } from "./channels.js";
import {
  UNION_OPTIONS,
  type UnionInformation,
  type UnionOptions,
  unionInformation,
} from "./union-information.js";

/** The four atoms of a partial information decomposition of I(M;X,Y), bits. */
export interface PidAtoms {
  /** R: what X and Y each give. */
  readonly redundancy: number;
  /** U_X: what X alone gives. */
  readonly uniqueX: number;
  /** U_Y: what Y alone gives. */
  readonly uniqueY: number;
  /** S: what only both together give. */
  readonly synergy: number;
}

/** A Gaussian decomposition by the two definitions in use. */
export interface GaussianPid {
  readonly information: PidInformation;
  /**
   * Minimal mutual information, `R = min(I_X, I_Y)` (Barrett 2015). One unique atom is 0 by construction, whatever the
   * data say.
   */
  readonly mmi: PidAtoms;
  /** ~G, which is BROJA's definition where all is Gaussian: atoms from {@link unionInformation}. */
  readonly broja: PidAtoms;
  /** The optimisation behind `broja`, with its certificate. */
  readonly union: UnionInformation;
}

/**
 * Partial information decomposition of what two Gaussian sources tell about a target, by MMI and by ~G.
 * @throws ModalscopeError when the noises determine each other or the optimisation cannot be proved.
 */
export function gaussianPid(channels: GaussianChannels, options?: UnionOptions): GaussianPid {
  checkOptions("gaussianPid", options ?? {}, UNION_OPTIONS);
  const information = channelInformation(channels);
  const union = unionInformation(channels.hx, channels.hy, options);
  return { information, mmi: mmiAtoms(information), broja: unionAtoms(information, union.bits), union };
}

/** Atoms by minimal mutual information: those of the least union that the informations allow. */
export function mmiAtoms(information: PidInformation): PidAtoms {
  return unionAtoms(information, Math.max(information.x, information.y));
}

/**
 * Atoms from the union information: `U_X = I∪ − I_Y`, `U_Y = I∪ − I_X`, `R = I_X + I_Y − I∪`, `S = I_XY − I∪`.
 * @param union bits; held between `max(I_X, I_Y)` and `min(I_X + I_Y, I_XY)`, so that no atom is negative.
 */
export function unionAtoms({ x, y, joint }: PidInformation, union: number): PidAtoms {
  const held = Math.min(Math.max(union, x, y), x + y, joint);
  return { redundancy: x + y - held, uniqueX: held - y, uniqueY: held - x, synergy: joint - held };
}

/** Atoms as shares of their sum; NaN when there is no information. */
export function atomShares(atoms: PidAtoms): PidAtoms {
  const total = atoms.redundancy + atoms.uniqueX + atoms.uniqueY + atoms.synergy;
  return mapAtoms((name) => atoms[name] / total);
}

/** A value for each atom. */
export function mapAtoms<T>(value: (name: keyof PidAtoms) => T): Record<keyof PidAtoms, T> {
  return {
    redundancy: value("redundancy"),
    uniqueX: value("uniqueX"),
    uniqueY: value("uniqueY"),
    synergy: value("synergy"),
  };
}

/** A value for each information. */
export function mapInformation<T>(value: (name: keyof PidInformation) => T): Record<keyof PidInformation, T> {
  return { x: value("x"), y: value("y"), joint: value("joint") };
}
