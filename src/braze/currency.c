/*-------------------------------------------------------------------------
 *
 * currency.c
 *	  Is this the code of a currency?
 *
 * Braze's list is older than some codes of today's ISO 4217.  Those are sent
 * as well: should Braze refuse one, that is a dead letter, where a default
 * currency in its place would be false money.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "braze/currency.h"

typedef char Code[4];

/* both in the order of strcmp */
static const Code listed[] = {
	"AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM",
	"BBD", "BDT", "BGN", "BHD", "BIF", "BMD", "BND", "BOB", "BRL", "BSD", "BTC",
	"BTN", "BWP", "BYR", "BZD", "CAD", "CDF", "CHF", "CLF", "CLP", "CNY", "COP",
	"CRC", "CUC", "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EEK", "EGP",
	"ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GGP", "GHS", "GIP", "GMD",
	"GNF", "GTQ", "GYD", "HKD", "HNL", "HRK", "HTG", "HUF", "IDR", "ILS", "IMP",
	"INR", "IQD", "IRR", "ISK", "JEP", "JMD", "JOD", "JPY", "KES", "KGS", "KHR",
	"KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL",
	"LTL", "LVL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRO",
	"MTL", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK",
	"NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR",
	"RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP",
	"SLL", "SOS", "SRD", "STD", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND",
	"TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VEF",
	"VND", "VUV", "WST", "XAF", "XAG", "XAU", "XCD", "XDR", "XOF", "XPD", "XPF",
	"XPT", "YER", "ZAR", "ZMK", "ZMW", "ZWL",
};

/* of ISO 4217 with its funds codes, without its two codes for no currency */
static const Code unlisted[] = {
	"BOV", "BYN", "CHE", "CHW", "COU", "MRU", "MXV", "SLE", "SSP", "STN", "USN",
	"UYI", "UYW", "VED", "VES", "XAD", "XBA", "XBB", "XBC", "XBD", "XCG", "XSU",
	"XUA", "ZWG",
};

static int
compare_codes(const void *a, const void *b)
{
	return strcmp(a, b);
}

static const char *
find_code(const Code * codes, size_t count, const char *code)
{
	return bsearch(code, codes, count, sizeof(Code), compare_codes);
}

const char *
braze_currency_code(const char *text, size_t length)
{
	Code		code;
	const char *found;

	if (length != sizeof(Code) - 1)
		return NULL;
	for (size_t i = 0; i < length; i++)
		code[i] = text[i] >= 'a' && text[i] <= 'z' ? text[i] - 'a' + 'A' : text[i];
	code[length] = '\0';
	found = find_code(listed, sizeof(listed) / sizeof(Code), code);
	return found != NULL ? found : find_code(unlisted, sizeof(unlisted) / sizeof(Code), code);
}

bool
braze_currency_is_listed(const char *code)
{
	return find_code(listed, sizeof(listed) / sizeof(Code), code) != NULL;
}
