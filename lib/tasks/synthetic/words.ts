/**
 * Short words that the generators write into images, the commoner ones first in each list; none is wider than its place
 * in the layouts: 22 dots of the image font, 27 for goods, 21 on signs.
 */

const split = (text: string): readonly string[] => text.trim().split(/\s+/);

export const NAMES: readonly string[] = split(`
  ann ben tom sue bob kate john mary jack lucy paul rosa carl emma fred lily ivan nina luke anna max zoe leo eva dan
  ida sam tina hugo olga ali mia joe sara bill jane kim lara otto vera noah ella rob ruth gus fay eric jill ted amy
  dave nora hal pia luis gail finn yara emil tess jude rita ed dora lee lola liz ian lea ada cora abel adam aida alan
  alba alec alma amir anya arlo asa axel bea beth bart boris brad bruno carla cecil cleo clara colin cyril daisy dale
  dana dean debra della diana dick dirk don doris drew edgar edith effie elias ellen elsa emily enid enzo erik erin
  ernie esme evan felix fiona flora frank freda gary gene gerd gina glen grace greg greta guy gwen hank harry hazel
  helen henry hilda hope ines inga irene iris isla ivy jacob jade james janet jay jean jeff jenny jim jo joan jodie
  joel jonas josie joy juan julia june karl karen kay keith ken kira kit klaus kurt kyle lana lars laura leah lena
  leon lewis linus lisa lois lou luca lydia lyle mabel marc maria mark marta matt maud may meg mel mick mike mila
  miles milo molly mona myra nadia ned neil nell nick nils noel olaf olive oscar owen pam pat patty pedro peggy penny
  perry pete phil polly priya rafa ralph ray rex rhea rick rocky roger ron rory rose ross roy ruby rudi rufus sally
  sandy saul scott sean selma seth shane shaun sid silas sonia stan steve susan tanya tara terry tia tim toby todd
  tony trudy una vic viola wade walt wanda wendy will xena yoko yuri zack zara zelda`);

export const CITIES: readonly string[] = split(`
  paris rome oslo cairo lima tokyo delhi bern seoul perth york nice porto riga kyiv bonn doha basel milan essen cork
  leeds bath lyon quito sofia accra lagos kyoto izmir osaka genoa tunis dijon ghent graz turin lille trier linz jena
  kiel ulm fes bari pune reno hilo vigo tours tyre vaasa zadar aden agra akron arles baku bali boise brno busan cadiz
  cebu dakar davao derby dover faro giza gyor hanoi hull kabul kano kazan kobe laos lodz luxor lviv macao malta mecca
  nara oran padua petra pisa rabat reims sanaa siena split tampa tartu troy tulsa turku varna xian yalta`);

export const JOBS: readonly string[] = split(`
  nurse cook pilot judge clerk guide baker poet guard actor coach diver miner smith maid monk dean vet boss chef racer
  joker mayor scout spy tiler tutor usher valet`);

export const GOODS: readonly string[] = split(`
  tea milk rice bread egg apple fish cake soap book pen cup hat bag ball box shirt coat meat salt soup corn juice
  honey coffee cheese beer wine pie jam oil nut pear plum grape onion bean leek flour sauce beet mug pot pan dish fork
  knife brush lamp belt sock tie vest toy doll kite rope tape nail lock ring map card ink glue saw axe fan lid tile
  seed vase wool almond bacon banana basil basket battery bell berry bike bolt boots bottle bowl broom bucket butter
  button cable camera candle candy carrot celery chain chair chalk cherry clock cloth cocoa comb cookie cord couch
  cream dates desk diary dice drill dress drum duster fig file flask flute foil frame garlic gin glass gloves guitar
  ham hammer herbs hook hose jar jeans jelly jug kettle ladder lemon lentil letter lime lute melon mint mirror mop
  muffin napkin needle noodle oats olive orange oven paint paper pasta pastry peach peas pencil pepper piano pickle
  pillow pins pipe plate pliers plug potato purse puzzle quilt radish raisin razor ribbon ruler salad scarf screw
  shelf shoes skirt spice sponge spoon stamp stapler stool stove straw sugar syrup thread ticket toast tomato tongs
  towel tray tripod tub violin watch yarn yogurt zip`);

export const MONTHS: readonly string[] = split("jan feb mar apr may june july aug sep oct nov dec");

export const SIGNS: readonly string[] = split(`
  stop exit open cafe hotel taxi bank shop sale park zoo bar gas pizza food fire help bus push pull town north south
  east west left right road route city club gym spa store mail post port pier pool pub deli diner salon radio gift
  toys tools art hall film dance rent free hot cold ice fast slow safe up down in out old new next last one ten air
  bay bath beach bike blue boat cab camp cars door farm fuel fun gate gold golf hill home inn king lake land lane lift
  live loft main mall max mile moon news night ocean oil pack path pay rail red rest ride river rock roof room sea
  ship show sky snow soda star stay sun surf tea time toll tour train used view visit wait walk way wet zone alley
  arena ashes attic barn bell bend best big bird board book bowl bread cabin cable candy canal cash cave chips cider
  class coach coast court cove craft creek crew cross curb dairy desk dock drive dry early elm end entry ferry fifth
  first fish flats floor fly forge fort fresh fruit full glass grand green grill guard guest heart high honey horse
  house jazz jet joe juice key kids knit laser level life lodge lost loud love lucky lunch maps mart mill mind mint
  nail neon oak only opera oval oven party pets phone photo piano pilot pine plaza pond print quiet ranch ramp reef
  relax ring rose royal sauna shoes shore silk ski smile soap soup spice stage steak steam stone sugar sushi sweet
  table third tiles top trail tram truck turn upper video villa vote watch water wharf white wild wine wood work yard
  yield yoga`);
