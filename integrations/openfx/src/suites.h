// The host's suites, and short names for their calls.

#pragma once

#include <ofxImageEffect.h>
#include <ofxMessage.h>
#include <ofxParam.h>

#include <string>

namespace cleanplate_ofx {

// Filled by the load action; valid until the plug-in is unloaded.
struct Suites {
    OfxHost* host = nullptr;
    const OfxPropertySuiteV1* property = nullptr;
    const OfxImageEffectSuiteV1* effect = nullptr;
    const OfxParameterSuiteV1* parameter = nullptr;
    const OfxMessageSuiteV1* message = nullptr;             // may be missing
    const OfxMessageSuiteV2* persistent_message = nullptr;  // may be missing

    // False where the host lacks a necessary suite.
    bool fetch();
};

extern Suites suites;

// Setters ignore properties that the host does not know: they are hints. Getters throw OfxFailure.
void set_text(OfxPropertySetHandle properties, const char* name, const char* value, int index = 0);
void set_integer(OfxPropertySetHandle properties, const char* name, int value, int index = 0);
void set_double(OfxPropertySetHandle properties, const char* name, double value, int index = 0);
std::string get_text(OfxPropertySetHandle properties, const char* name);
double get_double(OfxPropertySetHandle properties, const char* name, int index = 0);

// A call of the host that failed.
struct OfxFailure {
    OfxStatus status;
};

void check(OfxStatus status);

// Shows a sentence at the node until the next good frame; an empty one takes it away.
void show_error(OfxImageEffectHandle effect, const std::string& sentence);

}  // namespace cleanplate_ofx
