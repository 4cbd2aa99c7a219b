// A model's measured figures in plain words.

import type { FiguresView, KindFiguresView, OtherFiguresView } from "../protocol";
import { sentence } from "../words";

/** How often a fake is ranked above a real clip. */
export function rankedWords({ auc, unscored, chose }: FiguresView): string {
  const left = unscored === 0 ? "" : ` ${unscored} ${unscored === 1 ? "clip" : "clips"} got no score.`;
  const flatters = chose ? " These clips chose the model, so count on less." : "";
  return `Shown a fake and a real clip that it has not learned from, it gives the fake the higher score in ${percent(auc.value)} of 100 pairs (${percent(auc.low)} to ${percent(auc.high)}; tossing a coin gives 50).${left}${flatters}`;
}

/** The same of clips that chose nothing, with the kinds of fake that are in them. */
export function onceWords({ auc, reals, fakes, kinds }: OtherFiguresView): string {
  const found = kinds.map((one) => `${kindWords(one.kind).toLowerCase()} ${percent(one.auc.value)}`).join(", ");
  const chance = auc.low <= 0.5 ? ": no better than tossing a coin" : "";
  return `On ${fakes} other fakes and ${reals} real clips, which chose nothing and were looked at once, it was ${percent(auc.value)} of 100 (${percent(auc.low)} to ${percent(auc.high)})${chance}. By kind of fake: ${found}.`;
}

/** What the networks were computed in, for a caption. */
export function precisionWords(precision: string): string {
  return { int8: "eight bits", bfloat16: "half precision", float32: "single precision" }[precision] ?? precision;
}

/** How many fakes are found at a price of few false alarms. */
export function flaggedWords({ flagged_at_5: flagged }: FiguresView): string {
  return `Set so strictly that 5 of 100 real clips are flagged, it flags ${percent(flagged.value)} of 100 fakes (${percent(flagged.low)} to ${percent(flagged.high)}). The rest pass unnoticed.`;
}

/** The kinds of fake that are not clearly told better than by chance, or only hardly. */
export function weakKinds(kinds: readonly KindFiguresView[]): KindFiguresView[] {
  return kinds.filter(({ auc }) => auc.low <= 0.55);
}

/** A kind of fake: `face_swap` is "Face swap". */
export function kindWords(kind: string): string {
  if (kind === "avatar_3d") return "3D avatar";
  return sentence(kind.replaceAll("_", " "));
}

function percent(share: number): string {
  return String(Math.round(share * 100));
}
