/** Dashboards of features as a page: what activates each, how often, what it writes. */

import { jsonForScript } from "../../escape.js";
import { checkOptions, number, type OptionChecks, required, text } from "../../options.js";
import { type Html, view, viewDocument } from "../../plot/index.js";
import type { FeatureCorpus } from "../dashboard/corpus.js";
import type { FeatureDashboard } from "../dashboard/dashboard.js";
import { panelClient } from "./client.js";
import { dashboardsData } from "./examples-data.js";
import { css } from "./page.js";
import { dashboardStill } from "./still.js";

export interface DashboardViewOptions {
  readonly title: string;
  readonly subtitle?: string;
  /** In pixels; 620 when left out. */
  readonly height?: number;
}

const DASHBOARD_VIEW_OPTIONS: OptionChecks<DashboardViewOptions> = {
  title: required(text, "a string"),
  subtitle: text,
  height: number(1),
};

/**
 * Dashboards beside each other, as a page of its own; a still image where scripts do not run.
 * @example show(dashboardView([featureDashboard(corpus, 7, 31)], corpus, { title: "A feature" }));
 */
export function dashboardView(
  dashboards: readonly FeatureDashboard[],
  corpus: FeatureCorpus,
  options: DashboardViewOptions,
): Html {
  checkOptions("dashboardView", options, DASHBOARD_VIEW_OPTIONS);
  const { title, subtitle = "", height = 620 } = options;
  const script = `const data = ${jsonForScript(dashboardsData(dashboards, corpus))};
${panelClient}
for (const { key } of data.dashboards) {
  const [layer, feature] = key.split("_");
  const heading = element("h2", "layer " + layer + ", feature " + feature);
  document.getElementById("features").append(element("section", [heading, panelOf(key)]));
}`;
  const body = '<main id="features" style="overflow:auto"></main><style>section{flex:0 0 330px}</style>';
  const names = dashboards.map(({ layer, feature, label }) =>
    `${layer}/${feature} ${label?.label ?? ""}`.trim(),
  );
  const alt = `${title}: features ${names.join("; ")}`;
  const fallback = dashboardStill(dashboards, corpus, title);
  return view(viewDocument({ title, subtitle, css, body, script }), { height, alt, fallback });
}
