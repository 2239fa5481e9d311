// What fields are made of, in every answer.

import { z } from 'zod';

export const id = z.string().min(1);
export const time = z.iso.datetime();
export const maybeTime = time.nullable();
export const text = z.string();
export const maybeText = text.nullable();
export const bool = z.boolean();
export const int = z.int();
export const object = z.looseObject;
