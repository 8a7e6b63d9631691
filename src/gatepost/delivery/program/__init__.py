"""Delivery to programs: `pipe:`, `sendmail:`, `qmail-queue:`."""
