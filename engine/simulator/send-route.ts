/** The two doors for messages: the second is for marketing templates only. */
export type SendRoute = "messages" | "marketing_messages";
