import type { Service } from './request-handler.ts';

export function peoplePage({ state }: Service): string {
  return `<!doctype html><title>DPS emulator</title><p>${state.individual.size} enrollments`;
}
