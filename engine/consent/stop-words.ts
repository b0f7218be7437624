// The words with which people end marketing, and take it up again. WhatsApp hands a typed STOP on like any other text:
// it is for the business to see it.
//
// Only a text that is nothing but such a word counts: "stop" does, "please don't stop" does not. How it is written does
// not matter: case, accents, full-width letters, punctuation and emoji around it are looked through.

import type { ConsentWordOf } from "../message/consent-signal.ts";

/** `consent:` of volley.yaml, as far as it is about words. */
interface WordSettings {
  /** Beside those that every engine knows. */
  readonly extraStopWords: readonly string[];
  readonly extraResumeWords: readonly string[];
  /** Of those that every engine knows, such as one that is something else to this shop. */
  readonly ignoredWords: readonly string[];
}

const DRESSING =
  /[\u{300}-\u{36F}]|[\u{591}-\u{5C7}]|\u{640}|[\u{64B}-\u{652}]|\p{Cf}|\p{Variation_Selector}|\u{20E3}/gu;
/** A stop word is short; a longer text is not looked at. */
const TEXT_LENGTH_MAX = 200;

// English first: with REVOKE, QUIT, END and CANCEL, which are enough in the United States (47 CFR 64.1200(a)(10)).
// Buttons: what Meta's template editor and providers call theirs.
const STOP_WORDS = `
  stop; stop all; stopall; unsubscribe; unsubscribe me; cancel; end; quit; revoke; opt out; optout; opt-out; remove me;
  stop messages; stop marketing; stop promotions; stop promos; stop promo; stop ads; stop offers; stop it; please stop;
  stop please; no more messages; not interested; block promotions; do not contact me
  stopp; abmelden; abbestellen; austragen; abbrechen; keine werbung; keine werbung mehr; keine nachrichten mehr;
  newsletter abbestellen; werbung stoppen
  arrêt; arrêter; arrêtez; stop pub; désabonner; me désabonner; se désabonner; désinscrire; désinscription;
  me désinscrire; se désinscrire; désabonnement; plus de messages; arrêter les promotions
  alto; parar; pare; baja; darme de baja; dar de baja; dame de baja; cancelar; cancelar suscripción; no más mensajes;
  no más; detener; detener promociones; desuscribir; desuscribirme; desuscribirse; anular suscripción
  pare; sair; parar mensagens; cancelar inscrição; cancelar assinatura; descadastrar; descadastrar-me; remover;
  não quero mais; não quero receber; chega; parar promoções; não enviar mais
  ferma; fermati; basta; annulla; cancella; cancellami; disiscrivi; disiscrivimi; disiscriviti; annulla iscrizione;
  cancella iscrizione; interrompi; interrompi promozioni; niente più messaggi
  afmelden; uitschrijven; stoppen; afzeggen; geen berichten meer; geen reclame; geen reclame meer; meld me af
  rezygnuję; rezygnacja; wypisz; wypisz mnie; anuluj; koniec; zatrzymaj; wypisz się; nie chcę wiadomości
  dur; durdur; iptal; iptal et; çık; ret; abonelikten çık; üyelikten çık; mesaj gönderme; mesaj istemiyorum
  стоп; отписаться; отписка; отпишись; отпишите; отпишите меня; отмена; хватит; прекратить; не писать
  стій; відписатися; відписка; зупинити; скасувати
  توقف; إيقاف; ايقاف; وقف; قف; إلغاء; الغاء; إلغاء الاشتراك; الغاء الاشتراك; ستوب; كفى; إيقاف العروض
  הסר; הסרה; הסירו; הסירו אותי; תסירו אותי; עצור; עצרו; די; ביטול; בטל
  रोकें; रोको; रुकें; रुको; बंद करें; बंद करो; बंद; सदस्यता रद्द करें; सदस्यता समाप्त करें; स्टॉप; band karo; ruko
  berhenti; hentikan; batal; batalkan; keluar; berhenti berlangganan; unreg; stop promosi; henti; jangan hubungi
  stopp; avregistrera; avsluta; sluta; avmeld; meld av; afmeld; lopeta; peruuta; poista
  dừng; hủy; hủy đăng ký; ngừng; từ chối
  หยุด; ยกเลิก; เลิกติดตาม
  停止; 退订; 退訂; 取消; 取消订阅; 取消訂閱; 停; td
  停止する; 配信停止; 解除; ストップ; やめて
  중지; 수신거부; 그만; 취소; 정지
  stop; odhlásit; odhlásiť; zrušit; zrušiť; konec; koniec; leiratkozás; leiratkozom; leállít; dezabonare; opriți; oprește
  διακοπή; στοπ; διαγραφή; σταμάτα
  acha; sitisha; jiondoe; توقف کریں; بند کریں; لغو; لغو اشتراک
`;

// Fewer, and none that a menu of a bot may also mean ("back", "continue"): to write to somebody who said no is worse than
// to miss a yes.
const RESUME_WORDS = `
  start; resume; unstop; subscribe; opt in; optin; opt-in; subscribe me; start messages; resume promotions;
  start promotions; sign me up
  starten; abonnieren; wieder anmelden; werbung erlauben
  reprendre; démarrer; m'abonner; s'abonner; me réabonner
  reanudar; suscribir; suscribirme; suscribirse; alta; darme de alta; dar de alta
  retomar; inscrever-me; me inscrever; quero receber
  riprendi; iscrivimi; iscriviti; iscrivi
  hervatten; aanmelden; inschrijven
  wznów; zapisz mnie
  başlat; abone ol
  старт; подписаться; возобновить; підписатися
  ابدأ; ابدا; استئناف; اشتراك; اشترك
  התחל; הצטרף; הירשם; חידוש
  शुरू; शुरू करें; शुरू करो; सदस्यता लें; स्टार्ट
  mulai; berlangganan
  starta; đăng ký; สมัคร; 订阅; 訂閱; 再開; 구독
`;

/** @returns what a whole text means; a word that is in both lists stops. */
export function createConsentWords(settings: WordSettings): ConsentWordOf {
  const ignored = new Set(settings.ignoredWords.map(plain));
  const listed = (words: string, extra: readonly string[]): ReadonlySet<string> => {
    const known = words.split(/[;\n]/).map(plain);
    return new Set([...known.filter((word) => !ignored.has(word)), ...extra.map(plain)].filter((word) => word !== ""));
  };
  const stops = listed(STOP_WORDS, settings.extraStopWords);
  const resumes = listed(RESUME_WORDS, settings.extraResumeWords);
  return (text) => {
    if (text.length > TEXT_LENGTH_MAX) return null;
    const word = plain(text);
    if (word === "") return null;
    if (stops.has(word)) return "stop";
    return resumes.has(word) ? "resume" : null;
  };
}

/** Letters and digits only, in one case, with single spaces between. */
function plain(text: string): string {
  return (
    text
      // Full-width and styled letters become the plain ones.
      .normalize("NFKC")
      // Upper first: only so do ß and the dotless ı of Turkish meet their other spellings.
      .toUpperCase()
      .toLowerCase()
      .normalize("NFD")
      // Accents of Latin, Greek and Cyrillic, points of Hebrew, harakat and the long stroke of Arabic; marks that nobody
      // sees, and those that only dress an emoji.
      .replaceAll(DRESSING, "")
      .normalize("NFC")
      .replaceAll(/[^\p{L}\p{M}\p{N}]+/gu, " ")
      .trim()
  );
}
