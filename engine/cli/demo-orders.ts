// Order events of an invented shop, in Shopify's shape: people from twelve countries, phone numbers written the way
// people write them (and left where people leave them), amounts, and ids beyond 2^53. The same seed makes the same shop.

export interface DemoOrder {
  /** JSON; its ids have more digits than a JavaScript number keeps. */
  readonly json: string;
  /** Shopify's id of the delivery. */
  readonly webhookId: string;
}

interface Market {
  readonly country: string;
  readonly currency: string;
  readonly callingCode: string;
  /** National (significant) number of a mobile: `#` is any digit. */
  readonly mobiles: readonly string[];
  /** How people write it at home; `#` takes the next digit of the national number. */
  readonly written: string;
  readonly firstNames: readonly string[];
  readonly lastNames: readonly string[];
  readonly cities: readonly (readonly [city: string, zip: string])[];
}

/** 0 ≤ value < 1. */
export type Random = () => number;

// The ranges are in use by mobiles, so that libphonenumber's full metadata takes every number (tested).
const MARKETS: readonly Market[] = [
  {
    country: "US",
    currency: "USD",
    callingCode: "1",
    mobiles: ["212732####", "415867####", "312646####", "305498####", "206739####"],
    written: "(###) ###-####",
    firstNames: ["Olivia", "James", "Emma", "Noah", "Sophia", "Mateo", "Ava", "Liam"],
    lastNames: ["Johnson", "Garcia", "Williams", "Nguyen", "O'Brien", "Davis", "Patel"],
    cities: [
      ["New York", "10013"],
      ["San Francisco", "94107"],
      ["Chicago", "60614"],
      ["Miami", "33130"],
      ["Seattle", "98101"],
    ],
  },
  {
    country: "GB",
    currency: "GBP",
    callingCode: "44",
    mobiles: ["7400######", "7725######", "7860######"],
    written: "0#### ######",
    firstNames: ["Amelia", "George", "Isla", "Harry", "Poppy", "Oscar"],
    lastNames: ["Smith", "Taylor", "Evans", "Clarke", "Wright"],
    cities: [
      ["London", "E1 6AN"],
      ["Leeds", "LS1 4DY"],
      ["Bristol", "BS1 5TR"],
    ],
  },
  {
    country: "DE",
    currency: "EUR",
    callingCode: "49",
    mobiles: ["1512#######", "1603######", "1761#######"],
    written: "0### ########",
    firstNames: ["Jörg", "Lena", "Käthe", "Finn", "Mia", "Björn"],
    lastNames: ["Müller", "Schröder", "Weiß", "Fischer", "Krüger"],
    cities: [
      ["Berlin", "10115"],
      ["Köln", "50667"],
      ["München", "80331"],
    ],
  },
  {
    country: "BR",
    currency: "BRL",
    callingCode: "55",
    mobiles: ["119########", "219########", "719########"],
    written: "(##) #####-####",
    firstNames: ["João", "Maria", "Luíza", "Thiago", "Antônia"],
    lastNames: ["Silva", "Souza", "Gonçalves", "Araújo"],
    cities: [
      ["São Paulo", "01310-100"],
      ["Rio de Janeiro", "20040-020"],
      ["Salvador", "40020-000"],
    ],
  },
  {
    country: "IN",
    currency: "INR",
    callingCode: "91",
    mobiles: ["98########", "99########", "70########"],
    written: "0##### #####",
    firstNames: ["Aarav", "Diya", "Vihaan", "Ananya", "Ishaan"],
    lastNames: ["Sharma", "Iyer", "Reddy", "Banerjee"],
    cities: [
      ["Mumbai", "400001"],
      ["Bengaluru", "560001"],
      ["Kolkata", "700001"],
    ],
  },
  {
    country: "MX",
    currency: "MXN",
    callingCode: "52",
    mobiles: ["55########", "33########", "81########"],
    written: "## #### ####",
    firstNames: ["José", "Guadalupe", "Ximena", "Ángel"],
    lastNames: ["Hernández", "Núñez", "López"],
    cities: [
      ["Ciudad de México", "06000"],
      ["Guadalajara", "44100"],
      ["Monterrey", "64000"],
    ],
  },
  {
    country: "ES",
    currency: "EUR",
    callingCode: "34",
    mobiles: ["612######", "654######", "677######"],
    written: "### ## ## ##",
    firstNames: ["Lucía", "Íñigo", "Carmen", "Hugo"],
    lastNames: ["García", "Peña", "Martín"],
    cities: [
      ["Madrid", "28013"],
      ["Barcelona", "08002"],
      ["Sevilla", "41001"],
    ],
  },
  {
    country: "FR",
    currency: "EUR",
    callingCode: "33",
    mobiles: ["612######", "698######", "761######"],
    written: "0# ## ## ## ##",
    firstNames: ["Zoé", "Gaël", "Élodie", "Louis"],
    lastNames: ["Lefèvre", "Moreau", "D'Angelo"],
    cities: [
      ["Paris", "75011"],
      ["Lyon", "69002"],
      ["Besançon", "25000"],
    ],
  },
  {
    country: "IT",
    currency: "EUR",
    callingCode: "39",
    mobiles: ["338#######", "347#######", "320#######"],
    written: "### #######",
    firstNames: ["Giulia", "Niccolò", "Chiara", "Matteo"],
    lastNames: ["Rossi", "Esposito", "Bianchi"],
    cities: [
      ["Milano", "20121"],
      ["Roma", "00184"],
      ["Forlì", "47121"],
    ],
  },
  {
    country: "AU",
    currency: "AUD",
    callingCode: "61",
    mobiles: ["412######", "421######", "437######"],
    written: "0### ### ###",
    firstNames: ["Charlotte", "Jack", "Matilda", "Lachlan"],
    lastNames: ["Brown", "Wilson", "Nguyen"],
    cities: [
      ["Sydney", "2000"],
      ["Melbourne", "3000"],
      ["Perth", "6000"],
    ],
  },
  {
    country: "NL",
    currency: "EUR",
    callingCode: "31",
    mobiles: ["612######", "624######", "653######"],
    written: "0#-########",
    firstNames: ["Sanne", "Daan", "Zoë", "Bram"],
    lastNames: ["de Vries", "van den Berg", "Jansen"],
    cities: [
      ["Amsterdam", "1012 JS"],
      ["Utrecht", "3511 AB"],
    ],
  },
  {
    country: "PL",
    currency: "PLN",
    callingCode: "48",
    mobiles: ["501######", "602######", "691######"],
    written: "### ### ###",
    firstNames: ["Łukasz", "Agnieszka", "Świetlana", "Paweł"],
    lastNames: ["Wójcik", "Kowalczyk", "Dąbrowska"],
    cities: [
      ["Kraków", "31-042"],
      ["Łódź", "90-001"],
      ["Gdańsk", "80-831"],
    ],
  },
];

const PRODUCTS = [
  ["Linen shirt", 4_900],
  ['Canvas tote "Everyday"', 2_400],
  ["Ceramic mug, 350 ml", 1_650],
  ["Wool socks (3 pairs)", 1_990],
  ["Oak cutting board", 3_800],
  ["Café blend, 1 kg", 2_250],
  ["Desk lamp – brass", 8_900],
  ["Kids' rain jacket", 5_450],
] as const;

const STREETS = ["Market Street", "High Street", "Station Road", "Park Avenue", "Mill Lane"];
const FIRST_ORDER_NUMBER = 1001;
const ORDER_SPACING_MS = 1_700;

/** @param nowMs when the newest of the orders was placed. */
export function* demoOrders(options: {
  readonly count: number;
  readonly seed: number;
  readonly nowMs: number;
}): Generator<DemoOrder> {
  const random = seededRandom(options.seed);
  for (let index = 0; index < options.count; index++) {
    const placedAtMs = options.nowMs - (options.count - index) * ORDER_SPACING_MS;
    yield {
      json: orderJson(random, FIRST_ORDER_NUMBER + index, placedAtMs),
      webhookId: uuid(random),
    };
  }
}

/** mulberry32: small, quick, and the same on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function integerBelow(random: Random, bound: number): number {
  return Math.floor(random() * bound);
}

function orderJson(random: Random, orderNumber: number, placedAtMs: number): string {
  const market = pick(random, MARKETS);
  const firstName = pick(random, market.firstNames);
  const lastName = pick(random, market.lastNames);
  const phones = placedPhones(random, writtenPhone(random, market));
  const email = `customer.${orderNumber}@example.com`;
  const items = lineItems(random);
  const totalCents = items.reduce((sum, item) => sum + item.cents * item.quantity, 0);
  const id = bigId(random);
  const [city, zip] = pick(random, market.cities);
  const order = {
    id,
    admin_graphql_api_id: `gid://shopify/Order/${id.digits}`,
    name: `#${orderNumber}`,
    order_number: orderNumber,
    created_at: new Date(placedAtMs).toISOString(),
    financial_status: random() < 0.9 ? "paid" : "authorized",
    fulfillment_status: null,
    currency: market.currency,
    total_price: amount(totalCents),
    subtotal_price: amount(totalCents),
    email,
    phone: phones.order,
    customer: {
      id: bigId(random),
      first_name: firstName,
      last_name: lastName,
      email,
      phone: phones.customer,
    },
    shipping_address: {
      first_name: firstName,
      last_name: lastName,
      address1: `${1 + integerBelow(random, 180)} ${pick(random, STREETS)}`,
      city,
      zip,
      country_code: market.country,
      phone: phones.shipping,
    },
    line_items: items.map(({ title, quantity, cents }) => ({
      id: bigId(random),
      title,
      quantity,
      price: amount(cents),
    })),
    order_status_url: `https://shop.example.com/orders/${orderNumber}/authenticate?key=${uuid(random)}`,
  };
  return jsonOf(order);
}

/** A whole number with more digits than a double keeps, as Shopify's ids have. */
class BigId {
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }
}

/** JSON.stringify with big ids as bare digits. */
function jsonOf(value: unknown): string {
  if (value instanceof BigId) return value.digits;
  if (Array.isArray(value)) return `[${value.map(jsonOf).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}:${jsonOf(item)}`)
    .join(",")}}`;
}

/** Shops find a number in one of three places; the empty ones are null, blank or not filled in. */
function placedPhones(random: Random, phone: string): Record<"order" | "customer" | "shipping", string | null> {
  const place = random();
  if (place < 0.4) return { order: phone, customer: phone, shipping: phone };
  if (place < 0.65) return { order: null, customer: phone, shipping: null };
  return { order: random() < 0.5 ? null : "", customer: null, shipping: phone };
}

/** Half of all people write their country code. */
function writtenPhone(random: Random, market: Market): string {
  const national = filled(random, pick(random, market.mobiles));
  const style = random();
  if (style < 0.3) return `+${market.callingCode}${national}`;
  if (style < 0.5) return `+${market.callingCode} ${national.slice(0, 3)} ${national.slice(3, 6)} ${national.slice(6)}`;
  return inFormat(market.written, national);
}

function inFormat(written: string, national: string): string {
  let next = 0;
  const text = written.replaceAll("#", () => national[next++] ?? "");
  // Some ranges are a digit longer than the usual way of writing them, or shorter.
  return `${text}${national.slice(next)}`.trim();
}

function filled(random: Random, pattern: string): string {
  return pattern.replaceAll("#", () => String(integerBelow(random, 10)));
}

function lineItems(random: Random): { title: string; quantity: number; cents: number }[] {
  return Array.from({ length: 1 + integerBelow(random, 3) }, () => {
    const [title, cents] = pick(random, PRODUCTS);
    return { title, cents, quantity: 1 + integerBelow(random, 2) };
  });
}

function bigId(random: Random): BigId {
  return new BigId(`82${filled(random, "################")}`);
}

function uuid(random: Random): string {
  const hex = Array.from({ length: 32 }, () => integerBelow(random, 16).toString(16)).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function amount(cents: number): string {
  return (cents / 100).toFixed(2);
}

function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[integerBelow(random, values.length)];
  if (value === undefined) throw new RangeError("nothing to pick from");
  return value;
}
