import { type Random, seeded } from "../../random.js";
import { adamStep } from "../learn/adam.js";
import { cholesky, solveLower } from "../linalg/cholesky.js";
import { columnMeans, type Matrix, transpose } from "../linalg/matrix.js";
import { CouplingLayer, type LayerTape } from "./coupling-layer.js";
import { covarianceOf } from "./mutual-information.js";

/** Output of a stack of layers: the input's own when there are none. */
export function outputOf(tapes: readonly LayerTape[], input: Matrix): Matrix {
  return tapes.length === 0 ? input : tapes[tapes.length - 1].output;
}

/** A variable's flow: whitening, then coupling layers that move alternate halves of the columns. */
export class Flow {
  private readonly mean: Float64Array;
  private readonly scale: Matrix;
  private readonly layers: readonly CouplingLayer[];
  private readonly moments: readonly { readonly m: Float64Array; readonly v: Float64Array }[][];

  constructor(fit: Matrix, layers: number, units: number, random: Random) {
    const d = fit.shape[1];
    this.mean = columnMeans(fit);
    this.scale = cholesky(covarianceOf([fit]), "The covariance of a variable");
    this.layers = Array.from({ length: d === 1 ? 0 : layers }, (_, l) => {
      // Every second layer takes the columns that the one before moved; each pair of layers cuts them anew.
      const order = seeded(Math.floor(l / 2)).shuffle(Array.from({ length: d }, (_, j) => j));
      const [a, b] = [order.slice(0, d >> 1), order.slice(d >> 1)];
      return l % 2 === 0 ? new CouplingLayer(a, b, units, random) : new CouplingLayer(b, a, units, random);
    });
    this.moments = this.layers.map(({ parameters }) =>
      parameters.map(({ length }) => ({ m: new Float64Array(length), v: new Float64Array(length) })),
    );
  }

  /** Rows with the mean and covariance that were fitted taken out. */
  whiten(x: Matrix): Matrix {
    const d = this.mean.length;
    const centred = { data: x.data.map((value, k) => value - this.mean[k % d]), shape: x.shape };
    return transpose(solveLower(this.scale, transpose(centred)));
  }

  /** Rows through whitening and all layers. */
  map(x: Matrix): Matrix {
    const white = this.whiten(x);
    return outputOf(this.forward(white), white);
  }

  /** Tapes of all layers, for whitened rows. */
  forward(white: Matrix): LayerTape[] {
    const tapes: LayerTape[] = [];
    for (const layer of this.layers) tapes.push(layer.forward(outputOf(tapes, white)));
    return tapes;
  }

  /** One step of Adam down a loss: its gradient in the output, and its derivative in the mean log determinant. */
  step(
    tapes: readonly LayerTape[],
    gradient: Matrix,
    perLogDeterminant: number,
    rate: number,
    step: number,
  ): void {
    let to = gradient;
    for (let l = this.layers.length - 1; l >= 0; l--) {
      const { input, parameters } = this.layers[l].backward(tapes[l], to, perLogDeterminant);
      this.layers[l].parameters.forEach((w, k) => {
        adamStep(w, parameters[k], this.moments[l][k], rate, step);
      });
      to = input;
    }
  }

  /** Copies of all parameters, for {@link restore}. */
  save(): Float64Array[][] {
    return this.layers.map(({ parameters }) => parameters.map((w) => w.slice()));
  }

  restore(saved: readonly (readonly Float64Array[])[]): void {
    this.layers.forEach(({ parameters }, l) => {
      parameters.forEach((w, k) => {
        w.set(saved[l][k]);
      });
    });
  }
}
