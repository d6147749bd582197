/*-------------------------------------------------------------------------
 *
 * email.h
 *	  Is this an e-mail address that Braze takes?
 *
 * Plain C: the mapping and the stand-in for Braze both ask here.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_EMAIL_H
#define BRAZE_EMAIL_H

#include <stdbool.h>
#include <stddef.h>

/* the address is in UTF-8, without white space around it */
extern bool braze_email_is_valid(const char *address, size_t length);

#endif							/* BRAZE_EMAIL_H */
