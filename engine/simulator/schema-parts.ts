// What the schemas of scenarios and changes share.

export const share = { type: "number", minimum: 0, maximum: 1 } as const;
export const errorCode = { type: "integer", minimum: 0 } as const;
export const where = { type: "string", enum: ["answer", "webhook"] } as const;
export const httpStatus = { type: "integer", minimum: 400, maximum: 599 } as const;

export const countOrUnlimited = {
  description: 'must be a whole number above 0, or "unlimited"',
  anyOf: [
    { type: "integer", minimum: 1 },
    { type: "string", const: "unlimited" },
  ],
} as const;
