/**
 * Short words that the generators write into pictures; none is wider than its place in the layouts: 22 dots
 * of the picture font, 27 for goods, 21 on signs.
 */

const split = (text: string): readonly string[] => text.trim().split(/\s+/);

export const NAMES: readonly string[] = split(`
  ada ali amy ana ann ben bill bob carl dan dave dora ed ella emil eric eva fay finn fred gail gus hal hugo ian ida
  ines ivan jack jane jill joe john jude kate kim lara lea lee leo lily lisa liz lola lucy luis luke max mia nina
  noah nora olga otto paul pia rita rob rosa ruth sam sara sue ted tess tina tom vera yara zoe`);

export const CITIES: readonly string[] = split(`
  accra bari basel bath bern bonn cairo cork delhi dijon doha essen fes genoa ghent graz hilo izmir jena kiel kyiv
  kyoto lagos leeds lille lima linz lyon milan nice osaka oslo paris perth porto pune quito reno riga rome
  seoul sofia tokyo tours trier tunis turin tyre ulm vaasa vigo york zadar`);

export const JOBS: readonly string[] = split(`
  actor baker boss chef clerk cook coach dean diver guard guide judge maid miner monk nurse pilot poet racer
  smith vet`);

export const GOODS: readonly string[] = split(`
  apple axe bag ball bean beer belt book box bread brush cake card cheese coat coffee corn cup dish doll egg fan fish
  flour fork glue grape hat honey ink jam juice kite knife lamp leek lid lock map meat milk mug nail nut oil onion
  pan pear pen pie plum pot rice ring rope salt sauce saw seed shirt soap sock soup tape tea tie tile toy vase vest
  wine wool`);

export const MONTHS: readonly string[] = split("jan feb mar apr may june july aug sep oct nov dec");

export const SIGNS: readonly string[] = split(`
  air art bank bar bath bay bike blue boat bus cab cafe camp cars city club cold dance deli diner door down east exit
  farm fast film fire food free fuel fun gas gate gift gold golf gym hall help hill home hot hotel ice inn king lake
  land lane last left lift live loft mail main mall max mile moon new news next night north ocean oil old one open
  pack park path pay pier pizza pool port post pub pull push radio rail red rent rest ride right river road rock
  roof room route safe sale salon sea ship shop show sky slow snow soda south spa star stay stop store sun surf
  taxi tea ten time toll tour town toys train up used view visit wait walk way west wet zone zoo`);
