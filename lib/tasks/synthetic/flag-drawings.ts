/**
 * Flags of countries whose names and capitals are one word each, in the unit square (3 wide to 2 high), their emblems
 * simplified to what is told apart at 60 pixels. Regions as the United Nations group them (M49).
 */
import { BLACK, COLOURS, WHITE } from "../raster/colours.js";
import { box, type Colour, disc, polygon, type Region, stroke, within, without } from "../raster/paint.js";
import type { Drawing } from "./things.js";

export interface Country {
  readonly capital: string;
  readonly continent: "africa" | "america" | "asia" | "europe" | "oceania";
  readonly flag: Drawing;
}

type Part = readonly [Region, Colour];
/** A stripe's colour, with its share of the height or width where that is not one. */
type Stripe = Colour | readonly [Colour, share: number];

const { red, green, blue, yellow, orange } = COLOURS;
const SKY: Colour = [110, 178, 230];
const NAVY: Colour = [24, 40, 110];
const MAROON: Colour = [136, 22, 52];
const WIDE = 1.5;

const weighted = (stripe: Stripe): readonly [Colour, number] =>
  typeof stripe[0] === "number" ? [stripe as Colour, 1] : (stripe as readonly [Colour, number]);

/** Bands one beside the other along an axis, each with where it begins and how much it takes. */
function stripes(own: readonly Stripe[], band: (from: number, share: number) => Region): Part[] {
  const all = own.map(weighted);
  const total = all.reduce((sum, [, share]) => sum + share, 0);
  return all.map(([colour, share], i) => {
    const before = all.slice(0, i).reduce((sum, [, taken]) => sum + taken, 0);
    return [band(before / total, share / total), colour];
  });
}

/** Stripes from the top to the bottom. */
const rows = (...own: readonly Stripe[]): Part[] => stripes(own, (from, share) => box(0, from, 1, share));
/** Stripes from the hoist to the fly. */
const columns = (...own: readonly Stripe[]): Part[] => stripes(own, (from, share) => box(from, 0, share, 1));
const alternating = (count: number, a: Colour, b: Colour): Part[] =>
  rows(...Array.from({ length: count }, (_, i) => (i % 2 === 0 ? a : b)));
const field = (colour: Colour): Part => [box(0, 0, 1, 1), colour];
const part = (left: number, top: number, width: number, height: number, colour: Colour): Part => [
  box(left, top, width, height),
  colour,
];
/** A disc that is round on the flag; its radius is a share of the height. */
const round = (colour: Colour, x: number, y: number, radius: number): Part => [
  disc(x, y, radius / WIDE, radius),
  colour,
];
const star = (colour: Colour, x: number, y: number, radius: number): Part => {
  const tips = Array.from({ length: 10 }, (_, i) => {
    const angle = (Math.PI * i) / 5;
    const reach = i % 2 === 0 ? radius : radius * 0.4;
    return [x + (reach * Math.sin(angle)) / WIDE, y - reach * Math.cos(angle)] as const;
  });
  return [polygon(...tips), colour];
};
const crescent = (colour: Colour, x: number, y: number, radius: number): Part => [
  without(
    disc(x, y, radius / WIDE, radius),
    disc(x + radius / 3 / WIDE, y, (0.8 * radius) / WIDE, 0.8 * radius),
  ),
  colour,
];
/** A triangle at the hoist that reaches so far. */
const hoist = (colour: Colour, reach: number): Part => [polygon([0, 0], [reach, 0.5], [0, 1]), colour];
/** A cross whose upright is nearer to the hoist. */
const nordic = (ground: Colour, cross: Colour, inner?: Colour): Part[] => [
  field(ground),
  part(0.28, 0, 0.16, 1, cross),
  part(0, 0.38, 1, 0.24, cross),
  ...(inner ? [part(0.32, 0, 0.08, 1, inner), part(0, 0.44, 1, 0.12, inner)] : []),
];
const cloth = box(0, 0, 1, 1);
/** From the lower hoist to the upper fly. */
const bend = (colour: Colour, width: number): Part => [within(stroke(width, [0, 1], [1, 0]), cloth), colour];
/** From the upper hoist to the lower fly. */
const fall = (colour: Colour, width: number): Part => [within(stroke(width, [0, 0], [1, 1]), cloth), colour];
const serrated = (colour: Colour, teeth: number): Part[] => [
  part(0.4, 0, 0.6, 1, colour),
  ...Array.from(
    { length: teeth },
    (_, i): Part => [polygon([0.4, i / teeth], [0.28, (i + 0.5) / teeth], [0.4, (i + 1) / teeth]), colour],
  ),
];

const africa = (capital: string, ...flag: Part[]): Country => ({ capital, continent: "africa", flag });
const america = (capital: string, ...flag: Part[]): Country => ({ capital, continent: "america", flag });
const asia = (capital: string, ...flag: Part[]): Country => ({ capital, continent: "asia", flag });
const europe = (capital: string, ...flag: Part[]): Country => ({ capital, continent: "europe", flag });
const oceania = (capital: string, ...flag: Part[]): Country => ({ capital, continent: "oceania", flag });

export const COUNTRIES: Readonly<Record<string, Country>> = {
  albania: europe("tirana", field(red), star(BLACK, 0.5, 0.5, 0.4), part(0.46, 0.2, 0.08, 0.6, BLACK)),
  algeria: africa(
    "algiers",
    ...columns(green, WHITE),
    crescent(red, 0.5, 0.5, 0.26),
    star(red, 0.58, 0.5, 0.12),
  ),
  angola: africa("luanda", ...rows(red, BLACK), crescent(yellow, 0.5, 0.5, 0.26)),
  armenia: asia("yerevan", ...rows(red, blue, orange)),
  austria: europe("vienna", ...rows(red, WHITE, red)),
  azerbaijan: asia(
    "baku",
    ...rows(SKY, red, green),
    crescent(WHITE, 0.47, 0.5, 0.14),
    star(WHITE, 0.56, 0.5, 0.09),
  ),
  bahamas: america("nassau", ...rows(SKY, yellow, SKY), hoist(BLACK, 0.44)),
  bahrain: asia("manama", field(WHITE), ...serrated(red, 5)),
  bangladesh: asia("dhaka", field(green), round(red, 0.46, 0.5, 0.32)),
  barbados: america(
    "bridgetown",
    ...columns(blue, yellow, blue),
    part(0.47, 0.3, 0.06, 0.4, BLACK),
    part(0.41, 0.3, 0.03, 0.2, BLACK),
    part(0.56, 0.3, 0.03, 0.2, BLACK),
  ),
  belgium: europe("brussels", ...columns(BLACK, yellow, red)),
  botswana: africa("gaborone", ...rows([SKY, 9], WHITE, [BLACK, 4], WHITE, [SKY, 9])),
  brazil: america(
    "brasilia",
    field(green),
    [polygon([0.08, 0.5], [0.5, 0.08], [0.92, 0.5], [0.5, 0.92]), yellow],
    round(NAVY, 0.5, 0.5, 0.24),
  ),
  bulgaria: europe("sofia", ...rows(WHITE, green, red)),
  burundi: africa(
    "gitega",
    ...rows(red, red),
    part(0, 0, 0.5, 1, green),
    [polygon([0, 0], [0.5, 0.5], [1, 0]), red],
    [polygon([0, 1], [0.5, 0.5], [1, 1]), red],
    [polygon([0.5, 0.5], [1, 0], [1, 1]), green],
    fall(WHITE, 0.1),
    bend(WHITE, 0.1),
    round(WHITE, 0.5, 0.5, 0.26),
    round(red, 0.5, 0.5, 0.1),
  ),
  cameroon: africa("yaounde", ...columns(green, red, yellow), star(yellow, 0.5, 0.5, 0.18)),
  canada: america(
    "ottawa",
    ...columns(red, [WHITE, 2], red),
    [polygon([0.5, 0.16], [0.66, 0.5], [0.5, 0.76], [0.34, 0.5]), red],
    part(0.48, 0.7, 0.04, 0.16, red),
  ),
  chile: america("santiago", ...rows(WHITE, red), part(0, 0, 0.34, 0.5, blue), star(WHITE, 0.17, 0.25, 0.16)),
  china: asia(
    "beijing",
    field(red),
    star(yellow, 0.17, 0.26, 0.2),
    ...[0.1, 0.22, 0.36, 0.48].map((y) => star(yellow, 0.36, y, 0.06)),
  ),
  colombia: america("bogota", ...rows([yellow, 2], blue, red)),
  congo: africa("brazzaville", field(green), [polygon([0, 1], [1, 0], [1, 1]), red], bend(yellow, 0.26)),
  croatia: europe(
    "zagreb",
    ...rows(red, WHITE, blue),
    part(0.41, 0.22, 0.18, 0.46, red),
    ...[0, 1, 2, 3].map((i) => part(i % 2 === 0 ? 0.41 : 0.5, 0.22 + 0.115 * i, 0.09, 0.115, WHITE)),
  ),
  cuba: america("havana", ...alternating(5, blue, WHITE), hoist(red, 0.5), star(WHITE, 0.17, 0.5, 0.16)),
  cyprus: asia(
    "nicosia",
    field(WHITE),
    [disc(0.5, 0.42, 0.24, 0.14), orange],
    [stroke(0.06, [0.36, 0.66], [0.5, 0.74], [0.64, 0.66]), green],
  ),
  czechia: europe("prague", ...rows(WHITE, red), hoist(blue, 0.5)),
  denmark: europe("copenhagen", ...nordic(red, WHITE)),
  ecuador: america(
    "quito",
    ...rows([yellow, 2], blue, red),
    [disc(0.5, 0.48, 0.1, 0.24), [120, 84, 50]],
    [disc(0.5, 0.48, 0.06, 0.16), SKY],
  ),
  egypt: africa("cairo", ...rows(red, WHITE, BLACK), [
    polygon([0.42, 0.38], [0.58, 0.38], [0.54, 0.64], [0.46, 0.64]),
    [206, 164, 60],
  ]),
  eritrea: africa(
    "asmara",
    ...rows(green, SKY),
    [polygon([0, 0], [1, 0.5], [0, 1]), red],
    round(yellow, 0.28, 0.5, 0.18),
  ),
  estonia: europe("tallinn", ...rows(blue, BLACK, WHITE)),
  finland: europe("helsinki", ...nordic(WHITE, blue)),
  france: europe("paris", ...columns(blue, WHITE, red)),
  gabon: africa("libreville", ...rows(green, yellow, blue)),
  gambia: africa("banjul", ...rows([red, 6], WHITE, [blue, 4], WHITE, [green, 6])),
  georgia: asia(
    "tbilisi",
    field(WHITE),
    part(0.44, 0, 0.12, 1, red),
    part(0, 0.4, 1, 0.2, red),
    ...[0.22, 0.78].flatMap((x) => [0.2, 0.8].map((y) => star(red, x, y, 0.12))),
  ),
  germany: europe("berlin", ...rows(BLACK, red, yellow)),
  ghana: africa("accra", ...rows(red, yellow, green), star(BLACK, 0.5, 0.5, 0.17)),
  greece: europe(
    "athens",
    ...alternating(9, blue, WHITE),
    part(0, 0, 0.37, 5 / 9, blue),
    part(0.15, 0, 0.074, 5 / 9, WHITE),
    part(0, 2 / 9, 0.37, 1 / 9, WHITE),
  ),
  guinea: africa("conakry", ...columns(red, yellow, green)),
  guyana: america("georgetown", field(green), [polygon([0, 0], [1, 0.5], [0, 1]), yellow], hoist(red, 0.5)),
  honduras: america(
    "tegucigalpa",
    ...rows(SKY, WHITE, SKY),
    ...[
      [0.5, 0.5],
      [0.38, 0.42],
      [0.62, 0.42],
      [0.38, 0.58],
      [0.62, 0.58],
    ].map(([x, y]) => star(SKY, x, y, 0.08)),
  ),
  hungary: europe("budapest", ...rows(red, WHITE, green)),
  iceland: europe("reykjavik", ...nordic(blue, WHITE, red)),
  indonesia: asia("jakarta", ...rows(red, WHITE)),
  iran: asia("tehran", ...rows(green, WHITE, red), round(red, 0.5, 0.5, 0.12)),
  ireland: europe("dublin", ...columns(green, WHITE, orange)),
  italy: europe("rome", ...columns(green, WHITE, red)),
  jamaica: america(
    "kingston",
    field(green),
    hoist(BLACK, 0.5),
    [polygon([1, 0], [0.5, 0.5], [1, 1]), BLACK],
    fall(yellow, 0.14),
    bend(yellow, 0.14),
  ),
  japan: asia("tokyo", field(WHITE), round(red, 0.5, 0.5, 0.3)),
  jordan: asia("amman", ...rows(BLACK, WHITE, green), hoist(red, 0.5), star(WHITE, 0.15, 0.5, 0.1)),
  kenya: africa(
    "nairobi",
    ...rows([BLACK, 4], WHITE, [red, 4], WHITE, [green, 4]),
    [disc(0.5, 0.5, 0.1, 0.32), red],
    [disc(0.5, 0.5, 0.03, 0.2), WHITE],
  ),
  laos: asia("vientiane", ...rows(red, [blue, 2], red), round(WHITE, 0.5, 0.5, 0.2)),
  latvia: europe("riga", ...rows([MAROON, 2], WHITE, [MAROON, 2])),
  lebanon: asia("beirut", ...rows(red, [WHITE, 2], red), [
    polygon([0.5, 0.28], [0.62, 0.68], [0.38, 0.68]),
    green,
  ]),
  lesotho: africa("maseru", ...rows([blue, 3], [WHITE, 4], [green, 3]), [
    polygon([0.5, 0.34], [0.6, 0.62], [0.4, 0.62]),
    BLACK,
  ]),
  liberia: africa(
    "monrovia",
    ...alternating(11, red, WHITE),
    part(0, 0, 0.34, 5 / 11, NAVY),
    star(WHITE, 0.17, 0.23, 0.16),
  ),
  libya: africa(
    "tripoli",
    ...rows(red, [BLACK, 2], green),
    crescent(WHITE, 0.48, 0.5, 0.15),
    star(WHITE, 0.57, 0.5, 0.09),
  ),
  lithuania: europe("vilnius", ...rows(yellow, green, red)),
  madagascar: africa("antananarivo", ...rows(red, green), part(0, 0, 1 / 3, 1, WHITE)),
  maldives: asia("male", field(red), part(0.2, 0.24, 0.6, 0.52, green), crescent(WHITE, 0.53, 0.5, 0.2)),
  mali: africa("bamako", ...columns(green, yellow, red)),
  malta: europe("valletta", ...columns(WHITE, red), part(0.06, 0.08, 0.06, 0.18, [120, 120, 124])),
  micronesia: oceania(
    "palikir",
    field(SKY),
    star(WHITE, 0.5, 0.2, 0.12),
    star(WHITE, 0.5, 0.8, 0.12),
    star(WHITE, 0.26, 0.5, 0.12),
    star(WHITE, 0.74, 0.5, 0.12),
  ),
  mongolia: asia(
    "ulaanbaatar",
    ...columns(red, blue, red),
    part(0.1, 0.3, 0.04, 0.46, yellow),
    part(0.2, 0.3, 0.04, 0.46, yellow),
    round(yellow, 0.17, 0.24, 0.1),
  ),
  morocco: africa("rabat", field(red), star(green, 0.5, 0.5, 0.28)),
  myanmar: asia("naypyidaw", ...rows(yellow, green, red), star(WHITE, 0.5, 0.5, 0.34)),
  namibia: africa(
    "windhoek",
    field(blue),
    [polygon([0, 1], [1, 0], [1, 1]), green],
    bend(WHITE, 0.34),
    bend(red, 0.26),
    round(yellow, 0.18, 0.26, 0.16),
  ),
  netherlands: europe("amsterdam", ...rows(red, WHITE, blue)),
  nicaragua: america("managua", ...rows(blue, WHITE, blue), [
    polygon([0.5, 0.36], [0.59, 0.62], [0.41, 0.62]),
    yellow,
  ]),
  niger: africa("niamey", ...rows(orange, WHITE, green), round(orange, 0.5, 0.5, 0.14)),
  nigeria: africa("abuja", ...columns(green, WHITE, green)),
  norway: europe("oslo", ...nordic(red, WHITE, blue)),
  pakistan: asia(
    "islamabad",
    ...columns(WHITE, [green, 3]),
    crescent(WHITE, 0.6, 0.5, 0.28),
    star(WHITE, 0.72, 0.36, 0.1),
  ),
  palau: oceania("ngerulmud", field(SKY), round(yellow, 0.44, 0.5, 0.3)),
  paraguay: america(
    "asuncion",
    ...rows(red, WHITE, blue),
    round(green, 0.5, 0.5, 0.14),
    star(yellow, 0.5, 0.5, 0.09),
  ),
  peru: america("lima", ...columns(red, WHITE, red)),
  philippines: asia("manila", ...rows(blue, red), hoist(WHITE, 0.5), round(yellow, 0.17, 0.5, 0.12)),
  poland: europe("warsaw", ...rows(WHITE, red)),
  portugal: europe(
    "lisbon",
    ...columns([green, 2], [red, 3]),
    round(yellow, 0.4, 0.5, 0.2),
    round(red, 0.4, 0.5, 0.1),
  ),
  qatar: asia("doha", field(WHITE), ...serrated(MAROON, 9)),
  romania: europe("bucharest", ...columns(blue, yellow, red)),
  russia: europe("moscow", ...rows(WHITE, blue, red)),
  rwanda: africa("kigali", ...rows([SKY, 2], yellow, green), round(yellow, 0.8, 0.22, 0.14)),
  samoa: oceania(
    "apia",
    field(red),
    part(0, 0, 0.5, 0.5, NAVY),
    ...[
      [0.25, 0.08],
      [0.14, 0.2],
      [0.36, 0.18],
      [0.25, 0.4],
    ].map(([x, y]) => star(WHITE, x, y, 0.08)),
  ),
  senegal: africa("dakar", ...columns(green, yellow, red), star(green, 0.5, 0.5, 0.18)),
  slovakia: europe(
    "bratislava",
    ...rows(WHITE, blue, red),
    part(0.16, 0.26, 0.26, 0.48, red),
    part(0.26, 0.32, 0.06, 0.36, WHITE),
    part(0.2, 0.4, 0.18, 0.08, WHITE),
  ),
  somalia: africa("mogadishu", field(SKY), star(WHITE, 0.5, 0.5, 0.3)),
  spain: europe("madrid", ...rows(red, [yellow, 2], red), part(0.22, 0.38, 0.12, 0.24, red)),
  sudan: africa("khartoum", ...rows(red, WHITE, BLACK), hoist(green, 0.34)),
  suriname: america(
    "paramaribo",
    ...rows([green, 2], WHITE, [red, 4], WHITE, [green, 2]),
    star(yellow, 0.5, 0.5, 0.18),
  ),
  sweden: europe("stockholm", ...nordic(blue, yellow)),
  switzerland: europe("bern", field(red), part(0.43, 0.2, 0.14, 0.6, WHITE), part(0.3, 0.4, 0.4, 0.2, WHITE)),
  tajikistan: asia("dushanbe", ...rows([red, 2], [WHITE, 3], [green, 2]), [
    polygon([0.42, 0.6], [0.4, 0.44], [0.5, 0.52], [0.6, 0.44], [0.58, 0.6]),
    yellow,
  ]),
  tanzania: africa(
    "dodoma",
    field(green),
    [polygon([0, 1], [1, 0], [1, 1]), SKY],
    bend(yellow, 0.36),
    bend(BLACK, 0.26),
  ),
  thailand: asia("bangkok", ...rows(red, WHITE, [NAVY, 2], WHITE, red)),
  togo: africa(
    "lome",
    ...alternating(5, green, yellow),
    part(0, 0, 0.4, 0.6, red),
    star(WHITE, 0.2, 0.3, 0.2),
  ),
  tonga: oceania(
    "nukualofa",
    field(red),
    part(0, 0, 0.44, 0.5, WHITE),
    part(0.18, 0.08, 0.08, 0.34, red),
    part(0.1, 0.19, 0.24, 0.12, red),
  ),
  tunisia: africa("tunis", field(red), round(WHITE, 0.5, 0.5, 0.3), crescent(red, 0.49, 0.5, 0.2)),
  turkey: asia("ankara", field(red), crescent(WHITE, 0.36, 0.5, 0.28), star(WHITE, 0.56, 0.5, 0.12)),
  ukraine: europe("kyiv", ...rows(blue, yellow)),
  uruguay: america(
    "montevideo",
    ...alternating(9, WHITE, blue),
    part(0, 0, 0.36, 5 / 9, WHITE),
    round(yellow, 0.18, 0.27, 0.2),
  ),
  venezuela: america(
    "caracas",
    ...rows(yellow, blue, red),
    ...[0.3, 0.4, 0.5, 0.6, 0.7].map((x) => star(WHITE, x, 0.44 + (x - 0.5) ** 2 * 2.4, 0.07)),
  ),
  vietnam: asia("hanoi", field(red), star(yellow, 0.5, 0.5, 0.3)),
  yemen: asia("sanaa", ...rows(red, WHITE, BLACK)),
  zambia: africa(
    "lusaka",
    field(green),
    part(0.64, 0.4, 0.12, 0.6, red),
    part(0.76, 0.4, 0.12, 0.6, BLACK),
    part(0.88, 0.4, 0.12, 0.6, orange),
  ),
};
