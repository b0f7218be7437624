import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { createConsentWords } from "../../engine/consent/stop-words.ts";

const DEFAULTS = { extraStopWords: [], extraResumeWords: [], ignoredWords: [] };
const wordOf = createConsentWords(DEFAULTS);

const STOPS = [
  ["English", "STOP", "stop", "Unsubscribe", "opt-out", "OPT OUT", "Stop promotions", "cancel", "END", "Quit"],
  ["German", "Stopp", "ABMELDEN", "keine Werbung mehr"],
  ["French", "arrêt", "ARRET", "me désabonner", "desinscription"],
  ["Spanish", "BAJA", "darme de baja", "no más mensajes", "Alto"],
  ["Portuguese", "SAIR", "parar", "cancelar inscrição"],
  ["Italian", "Basta", "disiscrivimi"],
  ["Dutch", "afmelden", "Uitschrijven"],
  ["Polish", "Rezygnuję", "wypisz mnie"],
  ["Turkish", "İPTAL", "iptal", "IPTAL", "ÇIK", "dur"],
  ["Arabic", "إلغاء الاشتراك", "توقف", "إِيقَاف", "تـوقـف"],
  ["Hindi", "बंद करो", "रोकें"],
  ["Indonesian", "BERHENTI", "berhenti berlangganan"],
  ["Russian", "СТОП", "отписаться"],
  ["Hebrew", "הסר", "הָסֵר"],
  ["Chinese", "退订", "TD"],
  ["Japanese", "配信停止", "ｽﾄｯﾌﾟ"],
  ["Korean", "수신거부"],
  ["Vietnamese", "Dừng"],
] as const;

for (const [language, ...texts] of STOPS) {
  test(`knows how marketing is ended in ${language}`, () => {
    for (const text of texts) assert.equal(wordOf(text), "stop", text);
  });
}

test("looks through case, width, punctuation and emoji", () => {
  for (const text of [
    "  stop  ",
    "Stop!",
    "S T O P".replaceAll(" ", ""),
    "“STOP.”",
    "ＳＴＯＰ",
    "𝐒𝐓𝐎𝐏",
    "🛑 stop 🛑",
    "stop 🙏🏽",
  ]) {
    assert.equal(wordOf(text), "stop", text);
  }
  for (const text of ["st\u200Bop", "\u200Estop\u200F", "*STOP*", "stop❤️", "STOP\n", "opt\u2011out"]) {
    assert.equal(wordOf(text), "stop", JSON.stringify(text));
  }
});

test("a sentence with such a word in it is a sentence", () => {
  for (const text of [
    "please don't stop",
    "Where does the bus stop?",
    "stop by the shop",
    "cancel my order 1234",
    "can I start tomorrow",
    "stopwatch",
    "non-stop",
    "s.t.o.p.",
    "",
    "   ",
    "!!!",
    "👍",
    `stop${" ".repeat(200)}`,
  ]) {
    assert.equal(wordOf(text), null, text);
  }
});

test("START and its like take it up again", () => {
  for (const text of ["START", "start!", "Unstop", "opt in", "subscribe", "старт", "ابدأ", "S'abonner", "m’abonner"]) {
    assert.equal(wordOf(text), "resume", text);
  }
});

test("the configuration adds words and takes some away", () => {
  const words = createConsentWords({
    extraStopWords: ["Genug!", "START"],
    extraResumeWords: ["Moin"],
    ignoredWords: ["Cancel", "subscribe"],
  });
  assert.equal(words("genug"), "stop");
  assert.equal(words("moin"), "resume");
  assert.equal(words("cancel"), null);
  assert.equal(words("SUBSCRIBE"), null);
  assert.equal(words("stop"), "stop");
  assert.equal(words("start"), "stop", "a word in both lists stops");
});

test("nothing but punctuation in the configuration is no word", () => {
  assert.equal(createConsentWords({ ...DEFAULTS, extraStopWords: ["!!!", " "] })("..."), null);
});

test("however a stop word is dressed up, it stops; whatever letters stand beside it, it does not", () => {
  const words = fc.constantFrom(...STOPS.flatMap(([, ...texts]) => texts));
  const dress = fc.stringMatching(/^[ .,!?*_~()"“”🛑🙏\u200B\n-]{0,6}$/u);
  const cased = fc.constantFrom(
    (text: string) => text,
    (text: string) => text.toUpperCase(),
    (text: string) => text.normalize("NFD"),
    (text: string) => text.normalize("NFKC"),
  );
  fc.assert(
    fc.property(words, dress, dress, cased, (word, before, after, form) => {
      assert.equal(wordOf(`${before}${form(word)}${after}`), "stop");
    }),
  );
  fc.assert(
    fc.property(words, fc.stringMatching(/^[bcdfgxz]{3,8}$/), (word, more) => {
      assert.equal(wordOf(`${word} ${more}`), null);
      assert.equal(wordOf(`${more}${word}`), null);
    }),
  );
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => void wordOf(text)));
});
