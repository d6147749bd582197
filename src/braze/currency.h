/*-------------------------------------------------------------------------
 *
 * currency.h
 *	  Is this the code of a currency?
 *
 * Plain C: the mapping and the stand-in for Braze both ask here.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CURRENCY_H
#define BRAZE_CURRENCY_H

#include <stdbool.h>
#include <stddef.h>

/* the code in upper case, which the text has in any; NULL: it is not one */
extern const char *braze_currency_code(const char *text, size_t length);

/*
 * is a code that the function above returned in the list that Braze publishes?
 */
extern bool braze_currency_is_listed(const char *code);

#endif							/* BRAZE_CURRENCY_H */
