#include "suites.h"

namespace cleanplate_ofx {

Suites suites;

bool Suites::fetch() {
    auto find = [&](const char* name, int version) { return host->fetchSuite(host->host, name, version); };
    property = static_cast<const OfxPropertySuiteV1*>(find(kOfxPropertySuite, 1));
    effect = static_cast<const OfxImageEffectSuiteV1*>(find(kOfxImageEffectSuite, 1));
    parameter = static_cast<const OfxParameterSuiteV1*>(find(kOfxParameterSuite, 1));
    message = static_cast<const OfxMessageSuiteV1*>(find(kOfxMessageSuite, 1));
    persistent_message = static_cast<const OfxMessageSuiteV2*>(find(kOfxMessageSuite, 2));
    return property && effect && parameter;
}

void check(OfxStatus status) {
    if (status != kOfxStatOK) throw OfxFailure{status};
}

void set_text(OfxPropertySetHandle properties, const char* name, const char* value, int index) {
    suites.property->propSetString(properties, name, index, value);
}

void set_integer(OfxPropertySetHandle properties, const char* name, int value, int index) {
    suites.property->propSetInt(properties, name, index, value);
}

void set_double(OfxPropertySetHandle properties, const char* name, double value, int index) {
    suites.property->propSetDouble(properties, name, index, value);
}

std::string get_text(OfxPropertySetHandle properties, const char* name) {
    char* value = nullptr;
    check(suites.property->propGetString(properties, name, 0, &value));
    return value ? value : "";
}

double get_double(OfxPropertySetHandle properties, const char* name, int index) {
    double value = 0;
    check(suites.property->propGetDouble(properties, name, index, &value));
    return value;
}

void show_error(OfxImageEffectHandle effect, const std::string& sentence) {
    if (suites.persistent_message && sentence.empty())
        suites.persistent_message->clearPersistentMessage(effect);
    else if (suites.persistent_message)
        suites.persistent_message->setPersistentMessage(effect, kOfxMessageError, "cleanplate", "%s",
                                                        sentence.c_str());
    else if (suites.message && !sentence.empty())
        suites.message->message(effect, kOfxMessageError, "cleanplate", "%s", sentence.c_str());
}

}  // namespace cleanplate_ofx
