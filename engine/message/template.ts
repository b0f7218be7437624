// An approved WhatsApp template in the shape of `GET /{wabaId}/message_templates`.
// Enumerations stay open (Meta adds to them), so they are strings here.

export interface WhatsAppTemplate {
  /** Numeric, but longer than a JSON number keeps: always text. */
  readonly id?: string;
  readonly name: string;
  readonly language: string;
  /** Only APPROVED can be sent. */
  readonly status: string;
  readonly category: string;
  /** NAMED or POSITIONAL; absent in older answers, then told from the placeholders. */
  readonly parameter_format?: string;
  readonly components: readonly TemplateComponent[];
  readonly [field: string]: unknown;
}

export interface TemplateComponent {
  /** HEADER, BODY, FOOTER or BUTTONS, in any case. */
  readonly type: string;
  /** Of a header: TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION. */
  readonly format?: string;
  readonly text?: string;
  readonly buttons?: readonly TemplateButton[];
  readonly [field: string]: unknown;
}

export interface TemplateButton {
  /** URL, QUICK_REPLY, PHONE_NUMBER, COPY_CODE, OTP, … */
  readonly type: string;
  readonly text?: string;
  readonly url?: string;
  readonly [field: string]: unknown;
}
